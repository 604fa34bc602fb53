"""The counts of what makes code hard to take over do not rise."""

import ast

import pytest

from tools.structure import Counts, count, places_of

LIMITS = Counts(
    takes_settings=25,
    opens_tracking=4,
    untyped_records=37,
    flow_modules=16,
    flow_lines=1_100,
    config_places=33,
    private_words=0,
)


@pytest.fixture(scope="module")
def counts():
    return count()


@pytest.mark.parametrize("name", Counts.__dataclass_fields__)
def test_no_count_rises(counts, name):
    assert getattr(counts, name) <= getattr(LIMITS, name)


def test_whole_settings_are_taken_where_things_are_wired_only():
    from tools.structure import ROOT, settings_takers

    wiring = ("perennial/cli/", "perennial/service/", "flows/", "perennial/pipeline/runtime/")
    others = [path for path, _ in settings_takers(ROOT) if not path.startswith(wiring)]
    assert others == []


def test_a_private_word_is_counted_where_it_is_bound(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.py").write_text(
        "class A:\n"
        "    told: str\n"
        "    def b(self, known): self.said = known\n"
        "found, other = [chosen for chosen in other.found], 'known'\n"
    )
    assert count(tmp_path).private_words == 5


def test_a_parameter_is_followed_through_calls_contexts_and_objects(tmp_path):
    (tmp_path / "a.py").write_text(
        "from b import make, use\n"
        "def start(config):\n"
        "    settings = read_settings(config)\n"
        "    use(settings.part)\n"
        "    with open_run(settings) as run:\n"
        "        use(run)\n"
        "        Holder(run)\n"
        "def read_settings(path): ...\n"
        "def open_run(settings): ...\n"
        "class Holder:\n"
        "    def work(self): make(self.settings)\n"
    )
    (tmp_path / "b.py").write_text(
        "def use(run): ...\ndef make(settings): ...\ndef other(x): ...\n"
    )
    modules = {path: ast.parse(path.read_text()) for path in tmp_path.glob("*.py")}
    assert places_of("config", "start", modules, tmp_path) == {
        ("a.start", "config"),
        ("a.read_settings", "path"),
        ("a.open_run", "settings"),
        ("b.use", "run"),
        ("a.Holder", "0"),
        ("a.Holder.work", "self"),
        ("b.make", "settings"),
    }
