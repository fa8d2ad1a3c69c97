"""Means of whole runs in JUnit's file: as properties of its suite."""

from collections.abc import Iterator

import pytest
from _pytest.junitxml import xml_key

from pytest_awsbench.recording import Recorder


class JunitProperties:
    """Adds what no test case has by itself, before pytest writes the file."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Add the mean of every metric, as ``awsbench::MODEL::SUITE::METRIC``."""
        xml = session.config.stash.get(xml_key, None)
        if xml is None:
            return
        self._recorder.judge()
        for name, value in self._means():
            xml.add_global_property(name, value)

    def _means(self) -> Iterator[tuple[str, str]]:
        """Yield names and means, with the limits of their 95 % intervals."""
        for key, figures in self._recorder.writer.figures.items():
            for metric, mean in figures.means.items():
                name = "::".join(("awsbench", *key, metric))
                yield name, str(mean.mean)
                if mean.low is not None and mean.high is not None:
                    yield f"{name}::low", str(mean.low)
                    yield f"{name}::high", str(mean.high)
