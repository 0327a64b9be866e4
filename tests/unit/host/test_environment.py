from __future__ import annotations

import pytest
from checkop_host import environment
from checkop_host.errors import HostError, UsageError
from hypothesis import given
from hypothesis import strategies as st


def read_as_systemd_219(text: str) -> dict[str, str]:
    """load_env_file of systemd 219, for double-quoted values: any character after a backslash is itself."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, quoted = line.split("=", 1)
        assert quoted[0] == quoted[-1] == '"'
        value, characters = "", iter(quoted[1:-1])
        for character in characters:
            assert character != '"', "the value ends early"
            value += next(characters) if character == "\\" else character
        found[name] = value
    return found


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True),
        st.text(st.characters(blacklist_categories=("Cc", "Cs", "Zl", "Zp"))),
        max_size=5,
    )
)
def test_systemd_reads_back_what_was_written(variables):
    assert read_as_systemd_219(environment.render(variables)) == variables


@pytest.mark.parametrize("value", ["a\nb", "a\rb"])
def test_a_line_break_cannot_smuggle_in_a_second_variable(value):
    with pytest.raises(UsageError, match="PASSWORD has a line break"):
        environment.render({"PASSWORD": value})


def test_a_name_that_is_none_is_refused():
    with pytest.raises(UsageError, match="not a name"):
        environment.render({"A B": "1"})


def test_every_missing_parameter_is_named():
    wanted = {"HOST": "database/endpoint", "PORT": "database/port", "SCHEMA": "database/schema"}
    with pytest.raises(HostError, match=r"/checkop/x/database/port, /checkop/x/database/schema"):
        environment.from_parameters(wanted, {"database/endpoint": "db"}, "/checkop/x")


def test_a_secret_without_a_key_is_told_by_the_key_and_never_the_value():
    with pytest.raises(HostError) as error:
        environment.from_secret({"PASSWORD": "password"}, {"passwort": "geheim"}, "arn:secret")
    assert "password" in str(error.value)
    assert "geheim" not in str(error.value)


@pytest.mark.parametrize(
    "before",
    [
        "",
        "UUID=1 / xfs defaults 0 0\n",
        "UUID=1 / xfs defaults 0 0\nfs-old:/ /mnt/chop-temp efs _netdev 0 0\n",
        "fs-old:/ /mnt/chop-temp efs a 0 0\nfs-older:/\t/mnt/chop-temp efs b 0 0\nUUID=1 / xfs defaults 0 0\n",
        "# fs-old:/ /mnt/chop-temp efs is a comment\n",
    ],
)
def test_fstab_has_the_mount_once_and_keeps_the_rest(before):
    line = "fs-new:/ /mnt/chop-temp efs _netdev,nofail 0 0"
    after = environment.with_fstab_line(before, "/mnt/chop-temp", line)
    assert [entry for entry in after.splitlines() if " /mnt/chop-temp " in entry and entry[0] != "#"] == [line]
    others = [entry for entry in before.splitlines() if entry.startswith(("UUID", "#"))]
    assert [entry for entry in after.splitlines() if entry != line] == others
    assert environment.with_fstab_line(after, "/mnt/chop-temp", line) == after


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (False, "false"), (8000, "8000"), ("é", "é")])
def test_settings_become_text(value, text):
    assert environment.as_text(value) == text
