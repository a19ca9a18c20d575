"""The promises, how each is kept, and the tests that show it: the one table behind `docs/explain/promises.md`.

A test is named by its file, or by file and function; a new test in a file that stands here as a whole counts by itself. What is not built
yet is said under `missing`, and the page says it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One promise."""

    text: str
    kept_by: str
    """By which construction it is kept."""
    tests: tuple[str, ...]
    missing: str = ""
    """What of it waits for a part that is not built yet."""


PROMISES: Mapping[str, Promise] = {
    "P1": Promise(
        text="What was accepted (a start, an answer, a signal, a webhook answered 2xx) survives `kill -9` and power loss.",
        kept_by="Facts are committed with `synchronous=FULL` before anybody is answered and before anything that they allow begins.",
        tests=(
            "tests/faults/test_power_loss.py",
            "tests/faults/test_kill_at_every_write.py",
            "tests/store/test_journal.py::test_what_was_acknowledged_survives_a_kill",
            "tests/store/test_journal.py::test_a_failing_sync_of_the_kernel_stops_the_process",
            "tests/contracts/test_engine_contract.py::test_a_run_is_durable_when_its_start_returns",
            "tests/contracts/test_engine_contract.py::test_what_a_run_was_told_is_durable_when_telling_returns",
            "tests/people/test_outbox_killed.py",
            "tests/triggers/test_inbox_killed.py",
            "tests/contracts/test_events_contract.py",
            "tests/server/serving/test_tow_up.py::test_nothing_that_was_answered_is_lost_by_a_kill",
            "tests/server/serving/test_hook_floods.py",
        ),
    ),
    "P2": Promise(
        text="Every accepted run reaches an end state or shows why it waits and since when. Nothing is “running” without a live performer.",
        kept_by="The state is the fold of the journal; `outstanding` says what the world still owes it, and a restart does just that. "
        "Ownership lives as long as a file lock, which the kernel lets go of.",
        tests=(
            "tests/faults/test_killed_tow.py",
            "tests/faults/test_stopped.py",
            "tests/simulation/test_crashes.py",
            "tests/simulation/test_system.py",
            "tests/core/test_laws.py",
            "tests/core/test_outstanding.py",
            "tests/engines/test_recovery.py",
            "tests/store/test_owners.py",
            "tests/store/test_claims.py",
            "tests/server/serving/test_tow_up.py::test_the_first_start_prints_a_link_and_the_second_goes_on",
            "tests/server/serving/test_tow_up.py::test_it_stops_in_order_and_a_second_signal_ends_it_at_once",
        ),
    ),
    "P3": Promise(
        text="An attempt happens at least once, its result is recorded exactly once. A step that is not `idempotent` and has no `check` is "
        "never repeated on its own after an unknown outcome: a person is asked.",
        kept_by="Results are fenced by attempt in the core and by a primary key (run, sequence) in the journal; unknown is a state of its own.",
        tests=(
            "tests/faults/test_kill_at_every_write.py",
            "tests/faults/test_killed_tow.py",
            "tests/core/test_stimuli.py",
            "tests/engines/test_recovery.py::test_an_idempotent_step_runs_again",
            "tests/engines/test_recovery.py::test_a_person_says_what_became_of_an_unknown_attempt",
            "tests/engines/test_recovery.py::test_a_check_decides_an_unknown_outcome",
            "tests/engines/test_recovery.py::test_of_many_who_resume_exactly_one_goes_on",
            "tests/store/test_journal.py::test_two_processes_that_drive_one_run_do_not_mix",
        ),
    ),
    "P4": Promise(
        text="One run for each (trigger, scheduled instant) and each (source, delivery id): a unique key, not luck.",
        kept_by="A start may carry a key; the table of runs has a unique index on it, and keys outlive the runs that retention removes.",
        tests=(
            "tests/contracts/test_store_contract.py::test_a_start_key_starts_one_run",
            "tests/contracts/test_engine_contract.py::test_a_start_key_starts_one_run",
            "tests/store/test_owners.py::test_processes_that_start_with_the_same_key_get_one_run",
            "tests/store/test_retention.py::test_numbers_and_start_keys_are_never_used_again",
            "tests/triggers/test_scheduler.py",
            "tests/triggers/test_deciding.py",
            "tests/triggers/test_event_inbox.py",
            "tests/triggers/test_run_ends.py",
            "tests/triggers/test_watch_metrics.py",
            "tests/server/serving/test_hooks.py::test_a_delivery_is_kept_and_a_repeat_tells_its_run",
            "tests/server/serving/test_shows.py",
            "tests/server/serving/test_github_examples.py",
        ),
    ),
    "P5": Promise(
        text="A gate is decided exactly once; authority is checked when deciding. An approval is bound to definition, inputs and evidence.",
        kept_by="Whether somebody may decide is judged in the same breath as the decision. The first valid one ends the question; a digest "
        "names all that was shown.",
        tests=(
            "tests/people/test_gate_race.py",
            "tests/people/test_authority.py",
            "tests/server/identity/test_four_eyes_by_token.py",
            "tests/people/test_escalation.py",
            "tests/core/test_gate_once.py",
            "tests/core/test_evidence.py",
            "tests/contracts/test_engine_contract.py::test_a_gate_is_decided_once",
            "tests/engines/test_embedded.py::test_of_many_letters_to_one_gate_one_decides",
            "tests/engines/test_recovery.py::test_questions_stay_asked",
        ),
    ),
    "P6": Promise(
        text="A run executes the definition it started with.",
        kept_by="The text is kept in the store by its digest, and a run that is folded again is folded over that text.",
        tests=(
            "tests/engines/test_pinned.py",
            "tests/contracts/test_engine_contract.py::test_a_run_keeps_the_definition_it_started_with",
            "tests/histories/test_histories.py",
        ),
    ),
    "P7": Promise(
        text="`cancelled` and `timed out` mean that no process of the step is left, `setsid` grandchildren included.",
        kept_by="Every step has a supervisor that is a subreaper: the kernel hands it every orphan, and the step is over when there is no child left.",
        tests=("tests/faults/test_trees.py", "tests/steps/test_process_trees.py"),
    ),
    "P8": Promise(
        text="No secret value in any byte that is stored or served: masked before truncation, across chunk borders, in encoded forms.",
        kept_by="One automaton over every form of every value; a stream holds back what may be the beginning of one. Masking comes first.",
        tests=(
            "tests/faults/test_secrets_everywhere.py",
            "tests/steps/test_masking.py",
            "tests/steps/test_process_runner.py::test_secrets_are_masked_in_everything_that_comes_out",
            "tests/engines/test_secrets_in_errors.py",
            "tests/steps/test_secret_providers.py::test_no_file_holds_a_value",
            "tests/store/test_identities.py::test_nothing_that_opens_a_door_is_kept",
            "tests/server/test_secrets_served.py",
        ),
    ),
    "P9": Promise(
        text="Memory and disk are bounded: every queue, output, file, nesting and matrix has a named limit and a named error.",
        kept_by="Limits are named constants that are enforced while parsing and before queueing; reference/settings.md and problems.md list them.",
        tests=(
            "tests/faults/test_large_output.py",
            "tests/faults/test_floods.py",
            "tests/faults/test_hostile_files.py",
            "tests/definition/test_source.py::test_a_limit_has_a_name",
            "tests/definition/test_expressions.py::test_no_expression_outgrows_its_limits",
            "tests/store/test_logs.py::test_of_a_long_output_the_beginning_and_the_end_are_kept",
            "tests/store/test_logs.py::test_the_whole_run_is_bounded_and_its_end_is_kept",
            "tests/store/test_journal.py::test_the_queue_has_a_limit",
            "tests/core/test_stimuli.py::test_signals_that_nobody_waits_for_have_a_limit",
            "tests/steps/test_builtin_archives.py::test_a_bad_archive_has_a_named_error",
        ),
    ),
    "P10": Promise(
        text="The audit record is in the same transaction as the act; the chain is verifiable offline and tampering is located.",
        kept_by="What people do is an event of the run, written in the transaction that makes it true; every record holds a digest of all before it. "
        "`tow audit` walks the chain without a server and names the record that was changed.",
        tests=(
            "tests/store/test_chain.py",
            "tests/store/test_identities.py",
            "tests/observe/test_acts.py",
            "tests/cli/test_audit.py",
            "tests/server/api/test_runs_audit.py",
        ),
    ),
    "P11": Promise(
        text="On a full disk, an I/O error or a damaged file new work is refused with the reason, nothing acknowledged is lost, and recovery "
        "needs no surgery. After a failed sync the process does not go on as if it had succeeded.",
        kept_by="The journal stops for good at the first error of the disk; only a new process, which reads what is really there, goes on.",
        tests=(
            "tests/faults/test_disk.py",
            "tests/faults/test_damage.py",
            "tests/store/test_journal.py::test_a_sick_disk_stops_the_journal_for_good",
            "tests/store/test_journal.py::test_a_failed_sync_of_the_database_file_stops_the_journal",
            "tests/store/test_journal.py::test_a_full_disk_refuses_new_work_and_a_restart_goes_on",
            "tests/store/test_journal.py::test_a_file_that_may_not_grow_stops_the_process_cleanly",
            "tests/store/test_writers.py",
            "tests/engines/test_embedded.py::test_when_the_disk_fails_everything_stops_with_the_reason",
            "tests/engines/test_embedded.py::test_what_the_disk_refused_never_happened",
            "tests/server/serving/test_full_disk.py",
        ),
    ),
    "P12": Promise(
        text="One poisonous run, file or request cannot stop the others or the restart.",
        kept_by="A mistake about one run is caught at the edge of that run, which says so and stays as it is; files are judged one by one.",
        tests=(
            "tests/engines/test_embedded.py::test_a_poisonous_run_does_not_stop_the_others",
            "tests/engines/test_embedded.py::test_a_run_that_was_poisonous_goes_on_when_the_mistake_is_mended",
            "tests/engines/test_embedded.py::test_orders_that_cannot_be_carried_out_are_one_runs_affair",
            "tests/engines/test_embedded.py::test_a_letter_that_nobody_can_read_is_refused_and_stops_nothing",
            "tests/engines/test_recovery.py::test_one_broken_run_does_not_keep_the_others_from_going_on",
            "tests/faults/test_hostile_files.py::test_all_of_them_at_once_leave_the_process_alive",
            "tests/people/test_outbox.py::test_a_channel_that_breaks_in_any_way_is_only_itself_broken",
            "tests/server/serving/test_hooks.py::test_what_is_refused_is_not_kept",
            "tests/server/serving/test_hooks.py::test_too_many_at_once_are_asked_to_come_again",
            "tests/server/serving/test_hooks.py::test_a_body_that_does_not_come_is_given_up",
            "tests/server/serving/test_beat.py::test_a_part_that_breaks_is_told_and_tried_again",
            "tests/server/serving/test_beat.py::test_one_part_that_hangs_or_breaks_stops_none_of_the_others",
            "tests/triggers/test_run_ends.py::test_a_run_that_cannot_be_read_keeps_nobody_back",
        ),
    ),
    "P13": Promise(
        text="A wall clock that jumps neither skips nor bursts waits, reminders and schedules; daylight-saving gaps and overlaps follow a written rule.",
        kept_by="Whoever sleeps looks at the clock again, at most 30 s later. Reminders and rungs are a pure function of time and of what was told.",
        tests=(
            "tests/faults/test_clock_jumps.py",
            "tests/engines/test_timers.py",
            "tests/people/test_escalation.py",
            "tests/people/test_calendars.py::test_hours_in_the_night_in_which_the_clocks_change",
            "tests/people/test_end_to_end_weekend.py",
            "tests/triggers/test_scheduler.py",
            "tests/triggers/test_schedule.py",
            "tests/triggers/test_schedule_oracle.py",
            "tests/server/serving/test_beat.py::test_a_server_that_was_down_for_400_days_obeys_catch_up",
            "tests/server/serving/test_beat.py::test_a_clock_that_jumps_repeats_nothing",
        ),
    ),
    "P14": Promise(
        text="Text from outside is data: never evaluated, never a shell word, never a template, never a redirect, never raw HTML.",
        kept_by="Values reach scripts as environment, arguments or input only; an expression inside `run` does not load; CEL has no way out. "
        "Templates of pages escape everything, and no script runs that is not a file of ours.",
        tests=(
            "tests/faults/test_hostile_files.py",
            "tests/faults/test_text_is_data.py",
            "tests/definition/test_expressions.py::test_there_is_no_world_in_an_expression",
            "tests/definition/test_expressions_templates.py::test_any_value_is_data",
            "tests/steps/test_builtin_git.py::test_what_could_become_an_option_or_a_command_is_refused",
            "tests/people/test_messages.py::test_texts_hold_nothing_that_steers",
            "tests/people/test_channels_email.py::test_a_subject_never_becomes_a_header",
            "tests/server/web/test_pages.py",
            "tests/server/web/test_ansi.py",
            "tests/server/web/test_web_security.py",
            "tests/server/browser/test_browser_hostile.py",
        ),
    ),
}


@cache
def shown_by(test: str) -> tuple[str, ...]:
    """The promises that a test shows, named by file and function."""
    return tuple(
        promise for promise, said in PROMISES.items() if any(is_meant(test, entry) for entry in said.tests)
    )


def is_meant(test: str, entry: str) -> bool:
    """Whether an entry of the table names a test, by itself or with its file."""
    return test == entry or test.startswith((f"{entry}::", f"{entry}/"))
