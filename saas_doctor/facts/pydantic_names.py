"""The names of Pydantic 1 that no version of Pydantic 2 gives, and what takes their place."""

from __future__ import annotations

# The classes of Pydantic 1's errors, without the `Error` at their end.
_ERROR_NAMES = """
    AnyStrMaxLength AnyStrMinLength ArbitraryType Bool Bytes Callable Class Color Config
    DataclassType Date DateNotInTheFuture DateNotInThePast DateTime Decimal DecimalIsNotFinite
    DecimalMaxDigits DecimalMaxPlaces DecimalWholeDigits Dict Duration Email Enum EnumMember Extra
    Float FrozenSet FrozenSetMaxLength FrozenSetMinLength Hashable IPv4Address IPv4Interface
    IPv4Network IPv6Address IPv6Interface IPv6Network IPvAnyAddress IPvAnyInterface IPvAnyNetwork
    IntEnum Integer Json JsonType List ListMaxLength ListMinLength ListUniqueItems LuhnValidation
    Missing NoneIsAllowed NoneIsNotAllowed NotDigit NotNone NumberNotGe NumberNotGt NumberNotLe
    NumberNotLt NumberNotMultiple Path PathNotADirectory PathNotAFile PathNotExists Pattern
    PyObject PydanticType PydanticValue Sequence Set SetMaxLength SetMinLength Str StrRegex
    StrictBool Subclass Time Tuple TupleLength UUID UUIDVersion Url UrlExtra UrlHost UrlHostTld
    UrlPort UrlScheme UrlSchemePermitted UrlUserInfo WrongConstant
"""
_ERRORS = {f"{name}Error" for name in _ERROR_NAMES.split()} | {
    "InvalidByteSize",
    "InvalidByteSizeUnit",
    "InvalidDiscriminator",
    "MissingDiscriminator",
}
_CONSTRAINED = {
    f"Constrained{name}"
    for name in ("Bytes", "Date", "Decimal", "Float", "FrozenSet", "Int", "List", "Set", "Str")
}
# A module, and below it names that could be imported from it.
_OTHERS = """
pydantic
    BaseSettings JsonWrapper NoneBytes NoneStr NoneStrBytes Protocol Required SecretField StrBytes
    compiled create_model_from_namedtuple create_model_from_typeddict parse_file_as parse_raw_as
    stricturl validate_model
pydantic.class_validators
    Validator ValidatorGroup extract_root_validators extract_validators gather_all_validators
    inherit_validators make_generic_validator prep_validators
pydantic.config
    SchemaExtraCallable
    GetterDict get_config inherit_config prepare_config
pydantic.datetime_parse
    StrBytesIntFloat
    parse_date parse_datetime parse_duration parse_time
pydantic.decorator
    ValidatedFunction
pydantic.env_settings
    DotenvType SettingsSourceCallable
    BaseSettings EnvSettingsSource InitSettingsSource SecretsSettingsSource SettingsError
    read_env_file
pydantic.error_wrappers
    ErrorList
    ErrorWrapper display_errors error_dict flatten_errors get_exc_type
pydantic.errors
    DequeError IterableError NumberNotFiniteError
pydantic.fields
    DeferredType ErrorWrapper ModelField Required SHAPE_DICT SHAPE_FROZENSET SHAPE_GENERIC
    SHAPE_ITERABLE SHAPE_LIST SHAPE_MAPPING SHAPE_SEQUENCE SHAPE_SET SHAPE_SINGLETON SHAPE_TUPLE
    SHAPE_TUPLE_ELLIPSIS Undefined UndefinedType Validator
pydantic.json
    ENCODERS_BY_TYPE decimal_encoder isoformat
pydantic.main
    BaseConfig Extra Field GetterDict ModelField ModelMetaclass PrivateAttr Protocol Undefined
    custom_pydantic_encoder object_setattr validate_model
pydantic.networks
    NetworkType
    MultiHostDsn Parts host_regex stricturl url_regex
pydantic.parse
    Protocol load_file load_str_bytes
pydantic.schema
    default_ref_template encode_default field_class_to_schema field_schema
    get_flat_models_from_fields get_flat_models_from_model get_flat_models_from_models
    get_model_name_map get_schema_ref model_process_schema model_schema schema
pydantic.tools
    parse_file_as parse_raw_as
pydantic.types
    NoneBytes NoneStr NoneStrBytes StrBytes
    JsonWrapper SecretField str_validator
pydantic.typing
    AnyArgTCallable AnyCallable NoArgAnyCallable NoneType
    evaluate_forwardref get_args get_origin is_callable_type is_classvar is_literal_type
    is_namedtuple is_none_type is_typeddict is_union resolve_annotations update_field_forward_refs
pydantic.utils
    ClassAttribute PyObjectStr ValueItems almost_equal_floats display_as_type is_valid_identifier
    truncate unique_list validate_field_name
pydantic.validators
    anystr_lower anystr_strip_whitespace anystr_upper bool_validator bytes_validator
    constr_length_validator decimal_validator dict_validator enum_member_validator find_validators
    float_validator int_validator list_validator number_size_validator set_validator str_validator
    strict_int_validator strict_str_validator tuple_validator uuid_validator
"""


def _gone() -> dict[str, set[str]]:
    found = {
        "pydantic": _ERRORS | _CONSTRAINED,
        "pydantic.errors": set(_ERRORS),
        "pydantic.types": set(_CONSTRAINED),
    }
    names: set[str] = set()
    for line in _OTHERS.splitlines():
        if line.startswith("pydantic"):
            names = found.setdefault(line, set())
        names.update(line.split() if line.startswith(" ") else ())
    return found


GONE = _gone()
"""By the module that they were imported from."""

_INSTEAD = {
    "BaseSettings": "`BaseSettings` of the package pydantic-settings",
    "ConstrainedStr": "`Annotated[str, StringConstraints(...)]`",
    "ErrorWrapper": "`ValidationError.from_exception_data` of pydantic_core",
    "GetterDict": "a `model_validator(mode='before')`",
    "ModelField": "`FieldInfo` of pydantic.fields",
    "ModelMetaclass": "`type(BaseModel)`",
    "NoneStr": "`Optional[str]`",
    "Required": "`...`",
    "StrBytes": "`str | bytes`",
    "Undefined": "`PydanticUndefined` of pydantic_core",
    "get_args": "`typing.get_args`",
    "get_origin": "`typing.get_origin`",
    "model_schema": "`Model.model_json_schema()`",
    "parse_file_as": "`TypeAdapter(...).validate_json(...)`",
    "parse_raw_as": "`TypeAdapter(...).validate_json(...)`",
    "schema": "`pydantic.json_schema.models_json_schema`",
    "validate_model": "`Model.model_validate(...)`",
}


def instead_of(name: str) -> str:
    """What takes the place of a name that is gone, in words."""
    if name in _INSTEAD:
        return _INSTEAD[name]
    if name in _CONSTRAINED:
        return "`Annotated[..., Field(...)]`"
    if name in _ERRORS:
        return "`ValueError`, or `PydanticCustomError` of pydantic_core"
    return "what Pydantic's migration guide names, or `pydantic.v1`"
