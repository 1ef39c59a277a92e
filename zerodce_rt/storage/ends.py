"""The input and the output of one piece of work, as files of this machine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.media import paths
from zerodce_rt.storage.remote import Place, Remote
from zerodce_rt.storage.transfer import upload

if TYPE_CHECKING:
    from zerodce_rt.storage.copies import Held

# Elsewhere, what comes first in a URL may be a folder, which is made, or a machine.
_WITH_BUCKETS = frozenset("s3 s3a gs gcs".split())


def check_ends(source: Place, output: Place, suffixes: Collection[str], *, overwrite: bool) -> None:
    """Refuse what could not be written in the end, before anything is fetched.

    Args:
        suffixes: those that the output's name may end in.

    Raises:
        ZeroDCEError: for such an output, and for numbered pictures in a storage.
    """
    for end in (source, output):
        if isinstance(end, Remote) and paths.is_sequence(end):
            raise ZeroDCEError(f"{end}: numbered pictures must be in a folder of this machine")
    if isinstance(output, Remote):
        paths.check_suffix(output, suffixes)
        _check_place(source, output, overwrite=overwrite)
    elif isinstance(source, Remote) and output != paths.PIPE and not paths.is_sequence(output):
        paths.check_output(None, output, suffixes, overwrite=overwrite)


def _check_place(source: Place, output: Remote, *, overwrite: bool) -> None:
    if output == source:
        raise ZeroDCEError(f"{output}: is the input itself; choose another `output`")
    if output.is_dir():
        raise ZeroDCEError(f"{output}: is a folder; give a file name")
    if not overwrite and output.exists():
        raise ZeroDCEError(f"{output}: exists already; use `overwrite=True` to replace it")
    if output.protocol in _WITH_BUCKETS and not _has_bucket(output.parents[-1]):
        raise ZeroDCEError(f"{output.parents[-1]}: no such bucket, and none is made")


@cache  # asked once for all outputs
def _has_bucket(bucket: Remote) -> bool:
    try:
        return bucket.exists()
    except ZeroDCEError:  # it may be allowed to write, and not to look
        return True


class LocalEnds:
    """Where an input has been fetched to, and where its output is made before it is uploaded.

    Those of this machine are what they are. ``release`` is to be called at the end.

    Attributes:
        source, output: paths of this machine.

    Args:
        source, output: as the user has named them.
        elsewhere: each unit of the work has ends of its own, wherever it is done: these upload
            nothing, and fetch a video only to plan with.
        show: the progress of long transfers.

    Raises:
        ZeroDCEError: the input cannot be fetched.
    """

    source: Path
    output: Path

    def __init__(
        self, source: Place, output: Place, *, elsewhere: bool = False, show: bool = True
    ) -> None:
        self._named = source, output
        self._elsewhere, self._show = elsewhere, show
        self._copy: Held | None = None
        self._result: Held | None = None
        try:
            self.source = self._fetched(source) if isinstance(source, Remote) else source
            self.output = self._begun(output) if isinstance(output, Remote) else output
        except BaseException:
            self.release()
            raise

    def _fetched(self, source: Remote) -> Path:
        from zerodce_rt.storage.copies import Held, fetched, key_of, local_name  # slow: locks

        self._copy = Held(*key_of(source))
        if self._elsewhere and paths.is_still(*self._named):  # of which nothing is planned
            return self._copy.folder / local_name(source)
        return fetched(source, self._copy, show=self._show)

    def _begun(self, output: Remote) -> Path:
        """Where an output is made."""
        from zerodce_rt.storage.copies import Held, local_name

        # By its name alone, so that a later run finds the segments of this one.
        self._result = Held("output", output.url)
        return self._result.folder / local_name(output)

    @property
    def output_is_away(self) -> bool:
        """Whether what is at ``output`` is only on its way."""
        return self._result is not None

    def finish(self) -> None:
        """Upload the output, if it goes to a storage.

        Raises:
            ZeroDCEError: it cannot be; what was made is kept.
        """
        output = self._named[1]
        if not isinstance(output, Remote) or self._elsewhere:
            return
        try:
            upload(self.output, output, show=self._show)
        except ZeroDCEError as error:
            kept, self._result = self._result, None
            assert kept is not None
            kept.release(keep=True)
            raise ZeroDCEError(
                f"{error}; for a week, the result is kept in {self.output}"
            ) from error
        self.output.unlink()

    def release(self, *, keep: bool = False, keep_source: bool = False) -> None:
        """Delete the copies, or keep them, or the input's, for later; may be called again."""
        for held, kept in ((self._copy, keep or keep_source), (self._result, keep)):
            if held is not None:
                held.release(keep=kept)
        self._copy = self._result = None

    @contextmanager
    def naming_errors(self) -> Iterator[None]:
        """Let errors of the block name files as the user has named them."""
        try:
            yield
        except ZeroDCEError as error:
            renamed = self.by_name(error)
            if renamed is error:
                raise
            raise renamed from error

    def by_name(self, error: Exception) -> Exception:
        """An error that names files as the user has named them."""
        if not isinstance(error, ZeroDCEError):
            return error
        text = str(error)
        for local, named in zip((self.source, self.output), self._named, strict=True):
            if isinstance(named, Remote):
                text = text.replace(str(local), str(named))
        if text == str(error):
            return error
        renamed = type(error)(text)
        renamed.__cause__ = error
        return renamed


@contextmanager
def copies_of(places: Collection[Place]) -> Iterator[list[Path]]:
    """Several files on this machine: copies of those in a storage, for as long as the block lasts.

    Raises:
        ZeroDCEError: one cannot be fetched.
    """
    with ExitStack() as at_the_end:
        copies = []
        for place in places:
            ends = LocalEnds(place, paths.PIPE, show=False)
            at_the_end.callback(ends.release)
            copies.append(ends.source)
        yield copies


@contextmanager
def local_ends(
    source: Place,
    output: Place,
    suffixes: Collection[str],
    *,
    overwrite: bool,
    begun: Callable[[Path], bool] | None = None,
) -> Iterator[LocalEnds]:
    """A block of work on files of this machine, whose output is uploaded at its end.

    No progress is shown.

    Args:
        suffixes: those that the output's name may end in.
        begun: tells of a local output whether something is kept to go on with after an error; then
            the copies are kept as well.

    Raises:
        ZeroDCEError: the output must not be written, or a file cannot be fetched or uploaded.
    """
    check_ends(source, output, suffixes, overwrite=overwrite)
    ends = LocalEnds(source, output, show=False)
    try:
        with ends.naming_errors():
            yield ends
        ends.finish()
    finally:
        ends.release(keep=begun is not None and begun(ends.output))
