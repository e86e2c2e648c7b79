"""The catalogue in memory: parts by name, under the names that people use for them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TypeVar

from clusterwright import units
from clusterwright.errors import UnknownName
from clusterwright.model.encoder import Encoder, EncoderOperator
from clusterwright.model.market import (
    CloudOffer,
    Default,
    InferenceThroughput,
    Preset,
    Region,
    Software,
    StepError,
    StepFactor,
    TrainingSystem,
)
from clusterwright.model.parts import (
    Accelerator,
    Cooling,
    FailureEffect,
    FailureRate,
    Link,
    Provenance,
    Server,
    Source,
    StorageSystem,
    Switch,
)

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True, kw_only=True)
class HourlySeries:
    """Price and carbon of a year, hour by hour from 1 January UTC."""

    price_usd_per_j: tuple[float, ...]
    """Price of each hour; may be below zero."""
    carbon_g_per_j: tuple[float, ...]
    """Carbon intensity of each hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Everything that can be chosen, by kind and name."""

    digest: str
    """SHA-256 of all that was read."""
    sources: Mapping[str, Source]
    """Documents that facts come from."""
    aliases: Mapping[str, tuple[str, ...]]
    """Catalogue names by the names that people use, in lower case."""
    accelerators: Mapping[str, Accelerator]
    """Accelerators of all vendors."""
    servers: Mapping[str, Server]
    """Servers, those composed for accelerators without one included."""
    switches: Mapping[str, Switch]
    """Switches."""
    links: Mapping[str, Link]
    """Cables and optics."""
    storage_systems: Mapping[str, StorageSystem]
    """Storage servers and appliances."""
    cooling: Mapping[str, Cooling]
    """Ways of cooling."""
    regions: Mapping[str, Region]
    """Regions."""
    series: Mapping[str, HourlySeries]
    """Hourly price and carbon by series name."""
    cloud_offers: Mapping[str, CloudOffer]
    """Rent."""
    failure_rates: Mapping[str, FailureRate]
    """Interruptions by component."""
    failure_effects: Mapping[str, FailureEffect]
    """What becomes of them."""
    inference: Mapping[str, InferenceThroughput]
    """Audited inference throughput."""
    presets: Mapping[str, Preset]
    """Models."""
    encoders: Mapping[str, Encoder]
    """Models that are lists of operators."""
    encoder_operators: Mapping[str, EncoderOperator]
    """Their operators."""
    software: Mapping[str, Software]
    """Training software by generation."""
    training_systems: Mapping[str, TrainingSystem]
    """Machines of published runs."""
    step_factors: Mapping[str, StepFactor]
    """Calibrated numbers of the step-time model."""
    step_errors: Mapping[str, StepError]
    """How wrong that model was, by regime."""
    defaults: Mapping[str, Default]
    """Values where the demand says nothing."""

    def accelerator(self, name: str) -> Accelerator:
        """Return an accelerator by its name or alias.

        Raises
        ------
        UnknownName
            If nobody knows the name, or it means several accelerators.
        """
        return self._find("accelerator", self.accelerators, name)

    def server(self, name: str) -> Server:
        """Return a server by its name or alias."""
        return self._find("server", self.servers, name)

    def switch(self, name: str) -> Switch:
        """Return a switch by its name or alias."""
        return self._find("switch", self.switches, name)

    def region(self, name: str) -> Region:
        """Return a region by its name."""
        return self._find("region", self.regions, name)

    def preset(self, name: str) -> Preset:
        """Return a model by its name or alias."""
        return self._find("model", self.presets, name)

    def encoder(self, name: str) -> Encoder:
        """Return a model that is a list of operators by its name or alias."""
        return self._find("encoder", self.encoders, name)

    def operators_of(self, encoder: str) -> tuple[EncoderOperator, ...]:
        """Return the operators of an encoder of the catalogue in their order."""
        return tuple(one for one in self.encoder_operators.values() if one.encoder == encoder)

    def storage_system(self, name: str) -> StorageSystem:
        """Return a storage system by its name."""
        return self._find("storage system", self.storage_systems, name)

    def server_for(self, accelerator: str) -> Server:
        """Return the server of an accelerator; every accelerator has one."""
        return next(s for s in self.servers.values() if s.accelerator == accelerator)

    def default(self, path: str, alias: object = None) -> float:
        """Return a default as a number in the base unit of an alias; a plain number without one."""
        text = self.default_text(path)
        return float(text) if alias is None else units.parse(text, alias)

    def default_text(self, path: str) -> str:
        """Return a default as it is written."""
        return self._find("default", self.defaults, path).value

    def vendors(self) -> tuple[str, ...]:
        """Return the vendors of accelerators."""
        return tuple(sorted({one.vendor for one in self.accelerators.values()}))

    def cite(self, provenance: Provenance) -> str:
        """Return the titles of a part's sources, and how sure they are when they are not."""
        titles = [
            f"{self.sources[key].title} ({self.sources[key].publisher})"
            for key in provenance.source.split("+")
        ]
        mark = f" [{provenance.certainty}]" if provenance.estimated("") else ""
        return "; ".join(titles) + mark

    def cite_default(self, path: str) -> str:
        """Return where a default comes from."""
        return self.cite(self.defaults[path].provenance)

    def _find(self, what: str, table: Mapping[str, Part], name: str) -> Part:
        if name in table:
            return table[name]
        meant = [one for one in self.aliases.get(name.casefold(), ()) if one in table]
        meant += [one for one in table if one.casefold() == name.casefold() and one not in meant]
        if len(meant) == 1:
            return table[meant[0]]
        if meant:
            msg = f"{what} {name!r} may mean {' or '.join(meant)}; write one of them"
            raise UnknownName(msg)
        raise UnknownName.of(what, name, table)


def uncertain_fields(part: object) -> tuple[str, ...]:
    """Return the names of a part's fields whose figures are estimated or recalled."""
    provenance = getattr(part, "provenance", None)
    if not isinstance(provenance, Provenance):
        return ()
    names = [one.name for one in fields(part)]  # type: ignore[arg-type]  # a part is a dataclass
    return tuple(name for name in names if provenance.estimated(name))
