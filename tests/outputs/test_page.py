from auditor.model import AwsKey, KeyName
from auditor.outputs.page import _deadlines
from tests.core_builders import AWS_KEY, GCP_KEY, NOW, a_gcp_key, a_holding, a_version, an_aws_key, days
from tests.test_engine import judged


def test_a_deadline_says_whether_the_data_is_lost_or_stops_being_readable() -> None:
    def imported(name: KeyName, left: float) -> AwsKey:
        return an_aws_key(name=name, origin="EXTERNAL", valid_to=NOW + days(left))

    later = KeyName(AWS_KEY.text[:-1] + "2")
    doomed = a_gcp_key(a_version("1", "DESTROY_SCHEDULED", destroy_time=NOW + days(1)))
    result = judged(
        a_holding(GCP_KEY, "1"),
        a_holding(),
        a_holding(later),
        keys={
            GCP_KEY: (doomed, None),
            AWS_KEY: (imported(AWS_KEY, 10), None),
            later: (imported(later, 200), None),
        },
    )
    told = [(one.what, one.readability) for one in _deadlines(list(result.findings), NOW)]
    assert told == [("lost for good", "doomed"), ("stops being readable", "expiring"), ("stops being readable", "")]
