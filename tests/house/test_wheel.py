"""What is installed is what is in the repository."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from house_sources import ROOT, tracked_files


def test_the_wheel_holds_the_whole_package(tmp_path: Path) -> None:
    """Every file of the package is in the wheel, queries and type marker too; tests and examples are not."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert packed == {
        name.removeprefix("src/") for name in tracked_files() if name.startswith("src/towpath/")
    }
