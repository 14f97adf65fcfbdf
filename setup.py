"""What pyproject.toml cannot say: a wheel takes `data/` along, as `parc_core/shipped/data`."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class BuildWithData(build_py):
    """Copies the data files; an editable install reads those of the checkout."""

    def run(self) -> None:
        """Builds the packages, then adds the data files."""
        super().run()
        if self.editable_mode:
            return
        for source, target in self._data_files():
            self.mkpath(str(Path(target).parent))
            self.copy_file(str(source), target, preserve_mode=False)

    def get_outputs(self, include_bytecode: bool = True) -> list:
        """All files of the build, ours too."""
        ours = [] if self.editable_mode else [target for _, target in self._data_files()]
        return [*super().get_outputs(include_bytecode), *ours]

    def _data_files(self) -> list:
        """Pairs of (file, its copy)."""
        shipped = Path(self.build_lib) / "parc_core" / "shipped"
        files = sorted(path for path in (ROOT / "data").rglob("*") if path.is_file())
        return [(path, str(shipped / path.relative_to(ROOT))) for path in files]


setup(cmdclass={"build_py": BuildWithData})
