"""Paths of somebody's machine in what may be published."""

from __future__ import annotations

import pytest

from prunecli.text.places import last_part, without_places


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("/home/ada/models/tickets", "tickets"),
        ("/home/ada/models/tickets/", "tickets"),
        ("~/data/tickets.csv", "tickets.csv"),
        ("../data/tickets.csv", "tickets.csv"),
        ("./tickets.csv", "tickets.csv"),
        ("C:\\Users\\ada\\tickets.csv", "tickets.csv"),
        ("D:/data/tickets", "tickets"),
        ("/", "/"),
        ("hub", "hub"),
        ("distilbert-base-uncased", "distilbert-base-uncased"),
        ("nyu-mll/glue", "nyu-mll/glue"),
        ("examples/tickets/tickets.toml", "examples/tickets/tickets.toml"),
        ("sha256:0123", "sha256:0123"),
        ("", ""),
    ],
)
def test_a_place_by_its_last_part(place: str, shown: str) -> None:
    assert last_part(place) == shown


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (
            "prune prune --from /home/ada/model --data=/home/ada/d.csv --level 0.5 -w /tmp/w",
            "prune prune --from model --data=d.csv --level 0.5 -w w",
        ),
        ("prune prune --from '/home/ada lovelace/a model'", "prune prune --from 'a model'"),
        ("prune sweep --demo --levels 0.5:0.8:0.05", "prune sweep --demo --levels 0.5:0.8:0.05"),
        ("prune sweep  --task 'a b'", "prune sweep  --task 'a b'"),
        ("prune ' unclosed /home/ada", "prune ' unclosed /home/ada"),
    ],
)
def test_a_command_without_places(command: str, shown: str) -> None:
    assert without_places(command) == shown
    assert without_places(shown) == shown
