"""No module of parc_core imports, over whatever way, itself; imports inside functions count."""

from __future__ import annotations

import pytest


def test_the_graph_of_modules_has_no_circle():
    graphlib = pytest.importorskip("graphlib")
    grimp = pytest.importorskip("grimp")
    graph = grimp.build_graph("parc_core", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 100
    # Raises CycleError, which names the circle.
    assert len(list(graphlib.TopologicalSorter(imports).static_order())) == len(imports)
