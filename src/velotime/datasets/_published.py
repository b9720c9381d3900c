"""A published file: where it is, what is in it, and that what was downloaded is that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anndata import AnnData

from velotime import data
from velotime._log import quiet
from velotime._status import InputError

LAYERS = ("unspliced", "spliced")
SECONDS = 30  # without an answer


@dataclass(frozen=True)
class Published:
    """A file of counts, and what must be in it.

    Attributes
    ----------
    name
        Of the file in the cache folder.
    address
        Where it is downloaded from.
    shape
        Cells and genes.
    """

    name: str
    address: str
    shape: tuple[int, int]

    def read(self, folder: str | Path | None) -> AnnData:
        """Download it where it is not there yet, and check it; a download that is wrong does not stay."""
        path = (_cache() if folder is None else Path(folder)) / self.name
        is_new = not path.exists()
        if is_new:
            self._download(path)
        try:
            return self._checked(path)
        except InputError:
            if is_new:
                path.unlink()
            raise

    def _download(self, path: Path) -> None:
        import pooch

        pooch.get_logger().setLevel("WARNING")  # it would advise to note a hash
        downloader = pooch.HTTPDownloader(progressbar=not quiet(), timeout=SECONDS)
        try:
            pooch.retrieve(self.address, None, path.name, path.parent, downloader=downloader)
        except OSError as error:  # of requests too; and a folder that cannot be written
            raise InputError(
                f"{self.address} could not be downloaded into {path.parent}: {error}. Where this machine has no "
                f"network, download it elsewhere and put it there as {path.name}, or say where it is: folder='...'."
            ) from error

    def _checked(self, path: Path) -> AnnData:
        adata = data.read_h5ad(path)
        wrong = self._wrong(adata)
        if wrong:
            raise InputError(
                f"{path} {wrong}: it is not the file that {self.address} was known to hold. Remove it, and it will be "
                "downloaded again."
            )
        adata.var_names_make_unique()
        return adata

    def _wrong(self, adata: AnnData) -> str:
        """What is not as it should be; empty if all is."""
        if adata.shape != self.shape:
            given, wanted = (f"{shape[0]:,} cells x {shape[1]:,} genes" for shape in (adata.shape, self.shape))
            return f"holds {given}, not {wanted}"
        without = [name for name in LAYERS if not _holds_counts(adata, name)]
        return f"has no layer {without[0]!r} of raw counts" if without else ""


def _cache() -> Path:
    import pooch

    return Path(pooch.os_cache("velotime"))


def _holds_counts(adata: AnnData, name: str) -> bool:
    try:
        data.read_layer(adata, name, counts=True)
    except InputError:
        return False
    return True
