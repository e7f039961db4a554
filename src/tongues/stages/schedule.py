"""When a recurring run starts: every so often, or as a cron line says."""

import re
from typing import Any

from tongues.core.errors import PreflightError

_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_INTERVAL = re.compile(r"([1-9]\d*)([mhdw])")
_FIELD = re.compile(r"[\d*/,?A-Za-z#-]+")
_CRON_FIELDS = 6


def trigger_of(every: str) -> dict[str, Any]:
    """A KFP trigger from "6h", "1d", "2w", or a cron line with seconds first, in UTC, such as "0 0 3 * * 1".

    Raises:
        PreflightError: it is neither; says what it could have been.
    """
    if found := _INTERVAL.fullmatch(every):
        return {"periodic_schedule": {"interval_second": str(int(found[1]) * _UNITS[found[2]])}}
    fields = every.split()
    if len(fields) == _CRON_FIELDS and all(_FIELD.fullmatch(one) for one in fields):
        return {"cron_schedule": {"cron": " ".join(fields)}}
    what = f"{every!r} is no interval and no cron line"
    if len(fields) == _CRON_FIELDS - 1:
        what = f"{every!r} has 5 fields, and Kubeflow Pipelines wants 6, seconds first: '0 {every}'"
    fix = "write 30m, 6h, 1d or 2w, or six fields in UTC: second minute hour day month weekday"
    raise PreflightError([what], where="--every", fix=fix)
