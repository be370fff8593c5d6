"""What a reader of the source judged of each confirmed finding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gradlint.settings.toml import TomlValue, read_toml
from tests.corpora.results import Found
from tests.corpora.table import Row

FILE = Path(__file__).parent / "verdicts.toml"
Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a finding is true of the code it stands at, and why in one sentence."""

    true: bool
    why: str


def read_judgements(file: Path = FILE) -> dict[Key, Judgement]:
    """The records by package, path, model and rule.

    Raises:
        ConfigError: the file is not TOML, or a record is incomplete or stands there twice.
    """
    records: dict[Key, Judgement] = {}
    entries = read_toml(file).get("finding")
    for entry in entries.array() if entries is not None else ():
        package, path, model, rule = (
            _field(entry, name).string() for name in ("package", "path", "model", "rule")
        )
        key = (package, path, model, rule)
        if key in records:
            raise entry.error(f"{path}, {model}, {rule} is recorded twice; delete one record")
        records[key] = Judgement(_field(entry, "true").boolean(), _field(entry, "why").string())
    return records


def judged(
    rows: Iterable[Row], records: Mapping[Key, Judgement]
) -> Iterator[tuple[Found, Judgement | None]]:
    """Each confirmed finding with its record, or None where nobody has read it."""
    for row in rows:
        for found in row.confirmed:
            yield found, records.get((row.package, found.path, found.model, found.rule))


def outdated(rows: Iterable[Row], records: Iterable[Key]) -> Iterator[Key]:
    """Records of linted files in which the finding is no longer confirmed."""
    linted: set[tuple[str, str]] = set()
    confirmed: set[Key] = set()
    for row in rows:
        linted.update((row.package, outcome.path) for outcome in row.outcomes)
        confirmed.update((row.package, f.path, f.model, f.rule) for f in row.confirmed)
    yield from (key for key in records if key[:2] in linted and key not in confirmed)


def _field(entry: TomlValue, name: str) -> TomlValue:
    field = entry.get(name)
    if field is None:
        raise entry.error(f"`{name}` is missing; give package, path, model, rule, true and why")
    return field
