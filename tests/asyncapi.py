"""docs/asyncapi.yaml, for tests that hold it against what is really sent."""

from decimal import Decimal
from functools import cache
from json import JSONDecoder
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema import Draft7Validator

DOCUMENT: Final[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "docs" / "asyncapi.yaml").read_text()
)
COMPONENTS: Final[dict[str, Any]] = DOCUMENT["components"]
MESSAGES: Final[dict[str, Any]] = {
    message["name"]: message for message in COMPONENTS["messages"].values()
}

_exact: Final = JSONDecoder(parse_float=Decimal)


def check_payload(message_type: str, value: bytes) -> None:
    """Raises jsonschema.ValidationError where a value is not what the document says."""
    _validator(message_type, "payload").validate(_exact.decode(value.decode()))


def check_headers(message_type: str, headers: dict[str, str]) -> None:
    """Raises jsonschema.ValidationError where headers are not what the document says."""
    _validator(message_type, "headers").validate(headers)


def topics() -> dict[str, set[str]]:
    """The names of the messages in each topic."""
    return {
        channel["address"].removeprefix("{prefix}"): {
            COMPONENTS["messages"][key]["name"] for key in channel["messages"]
        }
        for channel in DOCUMENT["channels"].values()
    }


@cache
def _validator(message_type: str, part: str) -> Draft7Validator:
    schema = {"allOf": [MESSAGES[message_type][part]], "components": COMPONENTS}
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)
