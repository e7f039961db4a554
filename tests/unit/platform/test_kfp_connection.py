"""What goes wrong between here and a Kubeflow Pipelines server, each in words of its own."""

import pytest
from kfp_api import KfpApi

from tongues.core.errors import PipelineServerError
from tongues.platform.kfp_access import access_to
from tongues.platform.kfp_connection import NotFoundError, RefusedError, ServerAwayError

FAULTS = {
    "401": (RefusedError, "not logged in", "TONGUES_KFP_TOKEN"),
    "403": (RefusedError, "not allowed: PermissionDenied", "check --namespace"),
    "404": (NotFoundError, "no run r", "tongues runs"),
    "409": (RefusedError, "already exists", ""),
    "500": (ServerAwayError, "answers 500: Internal error: Error 1040", "ml-pipeline"),
    "gateway": (ServerAwayError, "a gateway answers 502", "port-forward"),
    "half": (ServerAwayError, "not JSON or breaks off", "try again"),
    "broken": (ServerAwayError, "does not answer", "port-forward"),
    "hang": (ServerAwayError, "no answer in time", "port-forward"),
    "page": (RefusedError, "shows a web page, most likely its login", "TONGUES_KFP_TOKEN"),
    "redirect": (RefusedError, "sends to a login page (/dex/auth)", "TONGUES_KFP_TOKEN"),
    "https": (RefusedError, "the server moved to https", "write --host https://127.0.0.1"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_says_what_where_and_how_to_mend_it(fault, reach):
    kind, what, fix = FAULTS[fault]
    with KfpApi(choose=lambda number, method, path: fault if "/runs/" in path else "") as api:
        server = reach(api, timeout_s=0.4 if fault == "hang" else 5.0)
        with pytest.raises(kind) as caught:
            server.run("r")
    assert what in caught.value.what and fix in caught.value.fix and caught.value.where == api.url
    assert "github.com" not in caught.value.line(), "the server's stack trace is of no use to a reader"


@pytest.mark.parametrize("fault", ["500", "gateway", "half", "broken"])
def test_a_passing_fault_is_tried_again_with_growing_waits(fault, reach):
    with KfpApi(choose=lambda number, method, path: fault if number < 2 else "") as api:
        waited: list[float] = []
        assert reach(api, waited=waited).multi_user is False
    assert waited == [0.5, 2.0]


@pytest.mark.parametrize("fault", ["401", "403", "404", "page", "redirect"])
def test_a_refusal_is_not_tried_again(fault, reach):
    with KfpApi(choose=lambda number, method, path: fault) as api:
        with pytest.raises(PipelineServerError):
            reach(api)
        assert api.asked("GET", "/apis/v2beta1") == 1


def test_a_login_page_is_not_followed_and_gets_no_token_twice(reach, monkeypatch):
    monkeypatch.setenv("TONGUES_KFP_TOKEN", "out-of-date")
    with KfpApi(multi_user=True, login="redirect") as api:
        with pytest.raises(RefusedError, match="login page"):
            reach(api)
        assert [path for _, path, _ in api.requests] == ["/apis/v2beta1/healthz"]


def test_a_refused_token_is_named_as_such_and_never_shown(reach, monkeypatch):
    monkeypatch.setenv("TONGUES_KFP_TOKEN", "s3cret-token")
    with KfpApi(choose=lambda number, method, path: "401") as api, pytest.raises(RefusedError) as caught:
        reach(api)
    assert "***" in caught.value.what and "s3cret-token" not in caught.value.line()
    assert "s3cret-token" not in repr(access_to("http://h"))


@pytest.mark.parametrize("fault", ["nobody_500", "nobody_409"])
def test_old_servers_hide_a_missing_identity_in_other_codes(fault, reach):
    """KFP has answered 500 and 409 to a request without identity; both mean: log in."""
    with KfpApi(choose=lambda *_: fault) as api, pytest.raises(RefusedError, match="not logged in"):
        reach(api)
    assert len(api.requests) == 1


def test_nobody_is_told_to_log_in(reach):
    with KfpApi(multi_user=True) as api, pytest.raises(RefusedError, match="not logged in"):
        reach(api, namespace="team-a").find_experiment("x")


def test_a_server_of_version_1_is_told_apart_from_a_wrong_address(reach):
    with KfpApi(old=True) as api, pytest.raises(RefusedError, match=r"Pipelines 1\.8\.5, which cannot run"):
        reach(api)
    with KfpApi(choose=lambda *_: "404") as api, pytest.raises(NotFoundError):
        reach(api)


def test_a_rotated_token_file_is_read_anew(reach, tmp_path):
    token = tmp_path / "token"
    token.write_text("token-of-bob\n")
    with KfpApi(multi_user=True) as api:
        server = reach(api, namespace="team-a", token_file=token)
        with pytest.raises(RefusedError, match="not allowed"):
            list(server.runs())
        token.write_text("token-of-ada\n")
        assert list(server.runs()) == []


def test_a_missing_token_file_is_an_error_before_anything_is_sent(reach, tmp_path):
    with KfpApi() as api:
        with pytest.raises(PipelineServerError, match="the token cannot be read"):
            reach(api, token_file=tmp_path / "none")
        assert not api.requests


@pytest.mark.parametrize("who", ["header", "token", "cookie"])
def test_three_ways_to_say_who_asks(who, reach, monkeypatch):
    given = {"namespace": "team-a"} | ({"user": "ada@example.org"} if who == "header" else {})
    if who == "token":
        monkeypatch.setenv("TONGUES_KFP_TOKEN", "token-of-ada")
    if who == "cookie":
        monkeypatch.setenv("TONGUES_KFP_COOKIE", "authservice_session=ada")
    with KfpApi(multi_user=True, login="page") as api:
        assert list(reach(api, **given).runs()) == []


@pytest.mark.parametrize(
    ("host", "said"),
    [
        (None, "no Kubeflow Pipelines server is named"),
        ("localhost:8888", "write http://localhost:8888"),
        ("ftp://h", "is not an http address"),
        ("https://ada:pw@h", "a password does not belong"),
    ],
)
def test_an_address_that_is_none_is_refused(host, said):
    with pytest.raises(PipelineServerError) as caught:
        access_to(host)
    assert said in caught.value.line() and "pw" not in caught.value.line()


def test_an_address_copied_from_a_browser_works():
    assert access_to("https://kf.example/pipeline/#/runs").host == "https://kf.example/pipeline"
