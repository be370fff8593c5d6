"""A contract for import-linter: some modules import what is named and the standard library."""

from __future__ import annotations

import sys

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class OnlyContract(Contract):
    """`importer` and what is below import `imported`, what is below, and the standard library."""

    type_name = "only"

    importer = fields.ListField(subfield=fields.StringField())
    imported = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Compare each direct import with the list."""
        wrong = [
            (importer, imported)
            for importer in sorted(graph.modules)
            if _inside(importer, self.importer)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if not _inside(imported, self.imported)
            and _root(imported) not in sys.stdlib_module_names
        ]
        return ContractCheck(kept=not wrong, metadata={"wrong": wrong})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each import that is not on the list."""
        for importer, imported in check.metadata["wrong"]:
            output.print_error(f"{importer} imports {imported}", bold=True)


def _inside(module: str, packages: object) -> bool:
    assert isinstance(packages, list)
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _root(module: str) -> str:
    return module.partition(".")[0]
