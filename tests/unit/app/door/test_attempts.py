"""How often somebody may try to sign in."""

from rankscope.app.door.attempts import MAX_PER_ADDRESS, MAX_PER_NAME, WINDOW_S, Attempts


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_sixth_attempt_waits_until_the_first_is_five_minutes_old() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    assert [attempts.begin("ada", "::1") for _ in range(MAX_PER_NAME)] == [0] * MAX_PER_NAME
    clock.now += 100
    assert attempts.begin("ada", "::1") == WINDOW_S - 100 + 1
    clock.now += WINDOW_S - 100
    assert attempts.begin("ada", "::1") == 0


def test_another_name_and_another_address_are_not_held_up() -> None:
    attempts = Attempts()
    for _ in range(MAX_PER_NAME + 1):
        attempts.begin("ada", "10.0.0.1")
    assert attempts.begin("ada", "10.0.0.1") > 0
    assert attempts.begin("bob", "10.0.0.1") == 0
    assert attempts.begin("ada", "10.0.0.2") == 0


def test_one_address_cannot_try_name_after_name() -> None:
    attempts = Attempts()
    waits = [attempts.begin(f"name{index}", "10.0.0.1") for index in range(MAX_PER_ADDRESS + 1)]
    assert waits[:-1] == [0] * MAX_PER_ADDRESS
    assert waits[-1] > 0


def test_a_right_password_forgives_the_wrong_ones() -> None:
    attempts = Attempts()
    for _ in range(MAX_PER_NAME):
        attempts.begin("ada", "::1")
    attempts.forget("ada", "::1")
    assert attempts.begin("ada", "::1") == 0


def test_refused_attempts_do_not_prolong_the_wait() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(MAX_PER_NAME):
        attempts.begin("ada", "::1")
    for _ in range(20):
        clock.now += 10
        attempts.begin("ada", "::1")
    clock.now = 1000.0 + WINDOW_S
    assert attempts.begin("ada", "::1") == 0
