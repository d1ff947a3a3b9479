import pytest

from probekit.errors import ConfigError
from probekit.settings import load
from probekit.tracing import Policy, Tail
from probekit.tracing.policy import plan_of


def test_no_setting_means_no_traces():
    assert plan_of(None) is None


@pytest.mark.parametrize(
    "given, policy",
    [
        (0.25, Policy(ratio=0.25)),
        (1, Policy(ratio=1.0)),
        (Policy(ratio=0.5, follow_parent=False), Policy(0.5, follow_parent=False)),
        (Tail(share=0.0), Policy(tail=Tail(share=0.0))),
    ],
)
def test_a_share_a_policy_and_a_tail_are_understood(given, policy):
    assert policy == plan_of(given).policy


def test_a_sampler_of_opentelemetrys_decides_at_the_head():
    class Sampler:
        def should_sample(self, *facts):
            return None

    sampler = Sampler()

    assert sampler is plan_of(sampler).sampler


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Policy(ratio=1.5), "ratio=1.5"),
        (lambda: Policy(ratio=float("nan")), "ratio=nan"),
        (lambda: Policy(ratio=True), "ratio=True"),
        (lambda: Policy(tail="all"), "not a str"),
        (lambda: Tail(share=-0.1), "share=-0.1"),
        (lambda: Tail(slower_than_s=-1), "slower_than_s=-1"),
        (lambda: Tail(slower_than_s=float("inf")), "slower_than_s=inf"),
        (lambda: Tail(most_spans=0), "most_spans=0"),
        (lambda: plan_of(object()), "a object is none of"),
    ],
)
def test_a_wrong_policy_is_refused_by_name_and_value(make, words):
    with pytest.raises(ConfigError, match="traces") as caught:
        make()

    assert words in str(caught.value)


def test_a_policy_passes_the_settings_as_it_is():
    policy = Policy(tail=Tail())

    assert policy is load(environ={}, service="shop", traces=policy).traces
