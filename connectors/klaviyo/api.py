"""The part of Klaviyo's API that Perennial can call, with its limits and scopes.

What is not listed here cannot be called: nothing that subscribes, unsubscribes or suppresses is. Of
consent there is one read, of suppression jobs, which a narrow key is refused.

References
----------
Klaviyo's API reference and OpenAPI document, revision 2026-10-15.
"""

from dataclasses import dataclass

HOST = "https://a.klaviyo.com"
REVISION = "2026-10-15"
JSON_API = "application/vnd.api+json"

MOST_ROWS = 10_000  # of an import job
MOST_BYTES = 5_000_000  # of any body
FILL_BYTES = 4_500_000  # that an import job is filled to
MOST_PROFILE_BYTES = 100_000
MOST_LOOKED_UP = 100  # keys in one filter
MOST_EVENTS = 1_000  # of a bulk job
MOST_MEMBERS = 1_000  # ids in one change of a list
DAILY_SEGMENTS = 100  # creations a day, and updates a day


@dataclass(frozen=True)
class Endpoint:
    """One operation.

    Attributes
    ----------
    method, path
        As in the reference; ``{id}`` is filled in.
    scopes
        What a key needs for it.
    burst, steady
        Requests in a second, and in a minute, of all keys of an account together.
    """

    method: str
    path: str
    scopes: tuple[str, ...]
    burst: int
    steady: int

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


ACCOUNT = Endpoint("GET", "/api/accounts", ("accounts:read",), 1, 15)
PROFILES = Endpoint("GET", "/api/profiles", ("profiles:read",), 75, 750)
IMPORT = Endpoint(
    "POST", "/api/profile-bulk-import-jobs", ("lists:write", "profiles:write"), 10, 150
)
JOBS = Endpoint("GET", "/api/profile-bulk-import-jobs", ("lists:read", "profiles:read"), 10, 150)
JOB = Endpoint(
    "GET", "/api/profile-bulk-import-jobs/{id}", ("lists:read", "profiles:read"), 10, 150
)
IMPORT_ERRORS = Endpoint(
    "GET", "/api/profile-bulk-import-jobs/{id}/import-errors", ("profiles:read",), 10, 150
)
SEGMENTS = Endpoint("GET", "/api/segments", ("segments:read",), 75, 750)
CREATE_SEGMENT = Endpoint("POST", "/api/segments", ("segments:write",), 1, 15)
UPDATE_SEGMENT = Endpoint("PATCH", "/api/segments/{id}", ("segments:write",), 1, 15)
EVENTS = Endpoint("POST", "/api/event-bulk-create-jobs", ("events:write",), 10, 150)
LISTS = Endpoint("GET", "/api/lists", ("lists:read",), 75, 750)
CREATE_LIST = Endpoint("POST", "/api/lists", ("lists:write",), 10, 150)
MEMBERS = Endpoint(
    "GET", "/api/lists/{id}/relationships/profiles", ("lists:read", "profiles:read"), 75, 750
)
ADD_MEMBERS = Endpoint(
    "POST", "/api/lists/{id}/relationships/profiles", ("lists:write", "profiles:write"), 10, 150
)
REMOVE_MEMBERS = Endpoint(
    "DELETE", "/api/lists/{id}/relationships/profiles", ("lists:write", "profiles:write"), 10, 150
)
DELETE_PERSON = Endpoint("POST", "/api/data-privacy-deletion-jobs", ("data-privacy:write",), 3, 60)

# Reads that the sync has no use for: a key that may do one may do too much. Klaviyo shows no key's scopes.
SUPPRESSIONS = Endpoint(
    "GET", "/api/profile-suppression-bulk-create-jobs", ("subscriptions:read",), 75, 750
)
METRICS = Endpoint("GET", "/api/metrics", ("metrics:read",), 10, 150)
FLOWS = Endpoint("GET", "/api/flows", ("flows:read",), 3, 60)
CAMPAIGNS = Endpoint("GET", "/api/campaigns", ("campaigns:read",), 10, 150)
TEMPLATES = Endpoint("GET", "/api/templates", ("templates:read",), 10, 150)
CATALOG = Endpoint("GET", "/api/catalog-items", ("catalogs:read",), 350, 3500)
PROBES = {
    SUPPRESSIONS: {},
    METRICS: {},
    FLOWS: {},
    CAMPAIGNS: {"filter": "equals(messages.channel,'email')"},
    TEMPLATES: {},
    CATALOG: {},
}

ENDPOINTS = frozenset(one for one in list(globals().values()) if isinstance(one, Endpoint))
