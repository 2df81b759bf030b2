"""The definition as a pydantic-settings model: every wrong value at once, and a JSON schema.

Importing pydantic costs as much as a deploy that has nothing to do, so only a run with something to complain
about comes here. The model is made from the definition; nothing is said twice.
"""

from collections.abc import Mapping
from typing import Annotated, Any, get_type_hints

from pydantic import BeforeValidator, Field, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from migrator.settings.definition import ROWS, Row, Settings


class _Base(BaseSettings):
    model_config = SettingsConfigDict(arbitrary_types_allowed=True, extra="forbid", validate_default=False)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what the reader found: flags, variables and files are already in order there."""
        return (init_settings,)


def model() -> type[BaseSettings]:
    """The definition, as pydantic sees it."""
    hints = get_type_hints(Settings)
    found: dict[str, Any] = {row.field: _field(row, hints) for row in ROWS}
    return create_model("Settings", __base__=_Base, **found)


def problems_of(texts: Mapping[str, tuple[str, str]]) -> tuple[str, ...]:
    """Validate all texts (field to name and text); one sentence per problem, naming variable or flag."""
    try:
        model().model_validate({name: text for name, (_, text) in texts.items()})
    except ValidationError as error:
        return tuple(
            f"{texts[str(one['loc'][0])][0]}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors(include_input=False, include_url=False)
        )
    return ()


def _field(row: Row, hints: Mapping[str, Any]) -> tuple[Any, FieldInfo]:
    default = Settings.__dataclass_fields__[row.field].default
    info: Any = Field(default=default, description=row.meaning, repr=not row.secret)
    return (Annotated[hints[row.field], BeforeValidator(row.parse)], info)
