"""The queue: progress, stopping, resuming, and what is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest

from tests.conftest import assert_nothing_left
from tests.support.media import write_video
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.studio.jobs import Job, Jobs
from zerodce_rt.studio.library import Library, MediaFile
from zerodce_rt.studio.previews import Previews
from zerodce_rt.studio.settings import Look

FRAMES = 1500


def wait(condition: Callable[[], object], seconds: float = 240) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.002)


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> MediaFile:
    """A video of two segments."""
    folder = tmp_path_factory.mktemp("long")
    write_video(folder / "long.mp4", frames=FRAMES, size=(64, 48))
    return Library(folder, folder).add_from_folder("long.mp4")


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    made = Jobs(Enhancer.for_video, tmp_path)
    yield made
    made.close()


def frames_of(job: Job) -> int:
    with av.open(str(job.output)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_stopped_video_goes_on_with_what_is_missing(
    jobs: Jobs, long_file: MediaFile, tmp_path: Path
) -> None:
    job = jobs.add(long_file, Look())
    waiting = jobs.add(long_file, Look(0.5, 0.0))
    wait(lambda: job.frames > 750)
    assert (job.state, waiting.state) == ("running", "waiting")
    assert job.expected == FRAMES
    assert job.seconds_left is not None
    jobs.stop(waiting.id)
    jobs.stop(job.id)
    wait(lambda: job.seconds_left is None)
    assert job.state == "stopped"
    assert not job.output.exists()
    jobs.resume(job.id)
    wait(lambda: job.frames > 0)
    assert job.frames > 590, "the first segment is kept"
    wait(lambda: job.state == "done")
    assert frames_of(job) == FRAMES
    jobs.resume(waiting.id)
    wait(lambda: waiting.state == "done")
    assert waiting.output.name == "long_enhanced_2.mp4"
    assert_nothing_left(tmp_path, "long_enhanced.mp4", "long_enhanced_2.mp4")


def test_a_removed_job_leaves_nothing(jobs: Jobs, long_file: MediaFile, tmp_path: Path) -> None:
    job = jobs.add(long_file, Look())
    wait(lambda: job.frames > 750)
    jobs.remove(job.id)
    assert jobs.all() == []
    wait(lambda: not list(tmp_path.iterdir()))


def test_a_failed_job_says_why_and_the_next_one_runs(
    jobs: Jobs, long_file: MediaFile, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_video(folder / "short.mp4")
    write_video(folder / "gone.mp4")
    library = Library(folder, folder)
    gone, short = (library.add_from_folder(name) for name in ("gone.mp4", "short.mp4"))
    gone.path.unlink()
    failed, done = jobs.add(gone, Look()), jobs.add(short, Look())
    wait(lambda: done.state == "done")
    assert failed.state == "failed"
    assert failed.error == "gone.mp4: no such file"
    assert frames_of(done) == 12


def test_the_end_of_the_program_ends_what_runs(long_file: MediaFile, tmp_path: Path) -> None:
    jobs = Jobs(Enhancer.for_video, tmp_path)
    job = jobs.add(long_file, Look())
    wait(lambda: job.frames > 10)
    began = time.monotonic()
    jobs.close()
    assert time.monotonic() - began < 2
    assert_nothing_left(tmp_path)


def test_pictures_of_a_place_are_kept(long_file: MediaFile) -> None:
    previews = Previews(Enhancer.for_video)
    nearby = previews.picture(long_file, 30.0, None, nearby=True)
    assert nearby == previews.picture(long_file, 25.0, None), "the key frame before it"
    first = previews.picture(long_file, 30.0, Look())
    before = previews.picture(long_file, 30.0, None)
    assert previews.picture(long_file, 30.0, None, nearby=True) == before, "which is there now"
    assert len({first, before, nearby, previews.picture(long_file, 30.0, Look(0.3))}) == 4
    began = time.monotonic()
    assert previews.picture(long_file, 30.0, Look()) == first
    assert time.monotonic() - began < 0.01
