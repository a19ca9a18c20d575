"""Mistakes that are known to happen, each as the few words that would bring it back, and the tests that have to notice.

They are planted in a copy of the source (`trials.py`), never in what anybody runs. The old text has to stand in its file exactly once,
so a change of the code that moves it fails a quick test of the suite and not weeks later the job.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What is written instead of what, in one file below `src/towpath`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """One mistake."""

    id: str
    promise: str
    """The promise that it breaks."""
    brings_back: str
    edits: tuple[Edit, ...]
    noticed_by: tuple[str, ...]
    """Each of these tests has to fail; one with parameters fails when one of them does."""


def _bug(
    name: str, promise: str, brings_back: str, *edits: tuple[str, str, str], noticed_by: tuple[str, ...]
) -> Bug:
    made = tuple(Edit(file=file, old=old, new=new) for file, old, new in edits)
    return Bug(id=name, promise=promise, brings_back=brings_back, edits=made, noticed_by=noticed_by)


BUGS: tuple[Bug, ...] = (
    # ---- P1: what was accepted survives
    _bug(
        "normal-sync",
        "P1",
        "SQLite with `synchronous=NORMAL`: a commit returns before it is on the disk.",
        ("store/connections.py", '"PRAGMA synchronous = FULL"', '"PRAGMA synchronous = NORMAL"'),
        noticed_by=("tests/faults/test_power_loss.py::test_a_power_loss_takes_nothing_that_was_said",),
    ),
    _bug(
        "acknowledged-before-the-commit",
        "P1",
        "Whoever waits is answered when a change is handed to the journal, not when it is durable.",
        (
            "store/journal.py",
            "                self._gathered.append(item)\n",
            "                self._gathered.append((item[0], lambda _: None))\n"
            "                if not hasattr(item[0], 'start_key'):\n"
            "                    self._deliver(item[1], None)\n"
            "                else:\n"
            "                    self._gathered[-1] = item\n",
        ),
        noticed_by=(
            "tests/store/test_journal.py::test_a_sick_disk_stops_the_journal_for_good",
            "tests/engines/test_embedded.py::test_what_the_disk_refused_never_happened",
        ),
    ),
    _bug(
        "commands-before-the-commit",
        "P1",
        "What facts ask for is performed as soon as they are decided, before they are durable.",
        (
            "engines/embedded/loop.py",
            "        drive.has_unsaved += 1\n\n        def on_durable(error: Exception | None) -> None:\n"
            "            drive.has_unsaved -= 1\n            if error is None:\n"
            "                self._happened(drive, facts, run)\n",
            "        drive.has_unsaved += 1\n        self._happened(drive, facts, run)\n\n"
            "        def on_durable(error: Exception | None) -> None:\n"
            "            drive.has_unsaved -= 1\n            if error is None:\n"
            "                pass\n",
        ),
        noticed_by=("tests/faults/test_disk.py::test_a_disk_that_begins_to_fail_stops_the_run_where_it_is",),
    ),
    # ---- P2: every run ends or says why it waits
    _bug(
        "timer-lost-at-restart",
        "P2",
        "A wait or a retry that was due in the future is forgotten when its process dies.",
        (
            "core/commands.py",
            '    if node.due is not None:\n        found.append(SetTimer(path=node.path, purpose="due", due=node.due))\n'
            "    return found\n",
            "    return found\n",
        ),
        noticed_by=("tests/core/test_outstanding.py::test_every_timer_is_set_again",),
    ),
    _bug(
        "recovery-stops-at-one-bad-run",
        "P12",
        "One run that cannot be folded keeps all others from going on after a restart.",
        (
            "engines/embedded/recovery.py",
            '        engine.poisoned(row.number, "resume", error)\n        return False\n',
            "        raise\n",
        ),
        noticed_by=(
            "tests/engines/test_recovery.py::test_one_broken_run_does_not_keep_the_others_from_going_on",
        ),
    ),
    _bug(
        "poison-spreads",
        "P12",
        "A mistake of ours in deciding about one run goes up into the loop that drives them all.",
        (
            "engines/embedded/loop.py",
            "            self.poisoned(number, type(stimulus).__name__, error)\n"
            "            if on_settled is not None:\n"
            '                on_settled(BugError(f"run {number} cannot go on: {error!r}"))\n            return\n',
            "            raise\n",
        ),
        noticed_by=("tests/engines/test_embedded.py::test_a_poisonous_run_does_not_stop_the_others",),
    ),
    # ---- P3: at least once, recorded exactly once, never repeated after an unknown outcome
    _bug(
        "retry-after-unknown",
        "P3",
        "A step whose attempt was lost is simply done again, idempotent or not.",
        (
            "core/blocks/leaf.py",
            "    elif turn.run.plan.is_idempotent(planned, {} if node.work is None else node.work.with_):\n",
            "    elif True:\n",
        ),
        noticed_by=(
            "tests/scenarios/test_scenarios.py::test_scenario"
            "[unknown: a lost step that is not idempotent waits for a person]",
            "tests/engines/test_recovery.py::test_an_action_says_of_its_inputs_whether_it_may_be_repeated",
        ),
    ),
    _bug(
        "result-recorded-twice",
        "P3",
        "The result of an attempt counts without looking which attempt is awaited.",
        (
            "core/decide.py",
            "    if node is None or not awaited or (node.attempt, node.stage) != (s.attempt, s.stage):\n",
            "    if node is None or not awaited:\n",
        ),
        noticed_by=("tests/core/test_stimuli.py::test_a_late_result_of_an_earlier_attempt_is_illegal",),
    ),
    _bug(
        "two-owners",
        "P3",
        "Of several processes that take over a run of a dead owner, more than one believes that it got it.",
        (
            "store/sql/owners.sql",
            "UPDATE runs SET owner = ?1 WHERE number = ?2 AND owner IS ?3;",
            "UPDATE runs SET owner = ?1 WHERE number = ?2 AND (owner IS ?3 OR 1);",
        ),
        noticed_by=("tests/store/test_claims.py::test_of_two_that_saw_the_same_dead_owner_one_gets_the_run",),
    ),
    _bug(
        "message-taken-twice",
        "P3",
        "A letter between processes can be acted upon more than once.",
        (
            "store/writing.py",
            '        if not connection.execute(_SQL["message_waits"], (taken.message, run)).fetchone():\n',
            "        if taken.message < 0:\n",
        ),
        noticed_by=(
            "tests/contracts/test_store_contract.py::test_a_message_is_taken_with_the_change_that_it_causes",
        ),
    ),
    # ---- P4: one run for each key
    _bug(
        "start-key-not-unique",
        "P4",
        "Starts with the same key make a run each: the key is neither looked for nor unique in the table.",
        (
            "store/writing.py",
            '    found = connection.execute(_SQL["started_by_keys"], (json.dumps(keys),))\n',
            "    found: list[tuple[str, RunNumber, Any]] = []\n",
        ),
        (
            "store/sql/migrations/0001_memory.sql",
            "CREATE UNIQUE INDEX runs_start_key",
            "CREATE INDEX runs_start_key",
        ),
        noticed_by=(
            "tests/contracts/test_store_contract.py::test_a_start_key_starts_one_run",
            "tests/store/test_owners.py::test_processes_that_start_with_the_same_key_get_one_run",
        ),
    ),
    # ---- P5: a gate is decided once, by whom it may
    _bug(
        "double-approval",
        "P5",
        "A gate that is decided takes a second decision.",
        (
            "core/decide.py",
            '    if node is None or node.status != "asking":\n',
            "    if node is None or node.question is None:\n",
        ),
        (
            "core/evolve.py",
            "        error=event.error,\n        work=None,\n        question=None,\n",
            "        error=event.error,\n        work=None,\n",
        ),
        (
            "core/evolve.py",
            "        reason=event.reason or base.reason,\n        work=None,\n        question=None,\n",
            "        reason=event.reason or base.reason,\n        work=None,\n",
        ),
        noticed_by=("tests/core/test_gate_once.py::test_a_second_decision_is_refused",),
    ),
    _bug(
        "one-person-is-a-quorum",
        "P5",
        "Whoever approves twice counts twice.",
        (
            "core/blocks/people.py",
            '    if question.kind == "approval" and any(a.by == stimulus.by for a in node.answers):\n',
            '    if question.kind == "approval" and any(a is None for a in node.answers):\n',
        ),
        noticed_by=(
            "tests/scenarios/test_scenarios.py::test_scenario"
            "[people: a quorum needs that many people, each once]",
        ),
    ),
    _bug(
        "authority-of-the-asking",
        "P5",
        "Whether somebody may approve is judged by who had the shift when the question was asked.",
        (
            "people/authority.py",
            "    found = directory.resolve(principals, at)\n    if person in found.people or groups & found.groups_elsewhere:\n",
            "    found = directory.resolve(principals, case.question.asked_at)\n"
            "    if person in found.people or groups & found.groups_elsewhere:\n",
        ),
        noticed_by=("tests/people/test_authority.py::test_the_shift_is_that_of_the_answer",),
    ),
    _bug(
        "four-eyes-forgets-tokens",
        "P5",
        "Whoever made a token of a service account may approve what that account started.",
        (
            "people/directory.py",
            "                due.extend((*(() if account is None else (account.owner,)), *self.makers(actor)))\n",
            "                due.extend(() if account is None else (account.owner,))\n",
        ),
        noticed_by=(
            "tests/server/identity/test_four_eyes_by_token.py::test_who_may_have_started_it_does_not_approve_it",
        ),
    ),
    _bug(
        "groups-for-ever",
        "P5",
        "What the identity provider said of somebody counts after their sign-in has ended.",
        (
            "people/vouched.py",
            "self._identities().sessions(self._now(), actor)",
            "self._identities().sessions(0, actor)",
        ),
        noticed_by=(
            "tests/server/identity/test_four_eyes_by_token.py"
            "::test_groups_of_the_provider_count_while_the_sign_in_lasts",
        ),
    ),
    _bug(
        "four-eyes-ignored",
        "P5",
        "Whoever started the run may approve it.",
        (
            "core/blocks/people.py",
            '    if question.four_eyes and stimulus.decision == "approve":\n',
            '    if question.four_eyes and stimulus.decision == "approved":\n',
        ),
        (
            "people/authority.py",
            "    if not case.question.four_eyes or says not in _FOR_OTHER_EYES:\n",
            "    if case.question.four_eyes or says not in _FOR_OTHER_EYES:\n",
        ),
        noticed_by=(
            "tests/scenarios/test_scenarios.py::test_scenario"
            "[people: four eyes keep the starter and the editor from approving]",
            "tests/people/test_authority.py::test_what_is_denied",
        ),
    ),
    _bug(
        "four-eyes-of-names",
        "P5",
        "Four eyes compare names: who started the run under an address of theirs may approve it.",
        (
            "people/authority.py",
            "    if case.edited_by and directory.are_one(person, case.edited_by):\n",
            "    if case.edited_by and person == case.edited_by:\n",
        ),
        noticed_by=("tests/people/test_authority.py::test_what_is_denied",),
    ),
    _bug(
        "evidence-not-in-the-digest",
        "P5",
        "What an approval shows is not bound to it: the evidence may change under the answer.",
        (
            "core/asking.py",
            "    bound = [question.digest, {name: _digest_of(evidence.get(name)) for name in question.files}]\n"
            "    digest = flow.digest_of(bound)\n",
            "    digest = question.digest\n",
        ),
        (
            "core/blocks/people.py",
            "    bound = [turn.run.plan.digest, turn.run.inputs, text, evidence, form]\n",
            "    bound = [turn.run.plan.digest, turn.run.inputs, text, form]\n",
        ),
        noticed_by=("tests/core/test_evidence.py::test_an_approval_is_bound_to_all_that_it_shows",),
    ),
    _bug(
        "rung-told-twice",
        "P5",
        "After a restart everybody on the ladder is told once more: how far it was climbed is not looked at.",
        (
            "people/escalation.py",
            "    late = [rung for rung in climbed if rung.number > told_rungs and rung.at <= now]\n",
            "    late = [rung for rung in climbed if rung.at <= now]\n",
        ),
        noticed_by=("tests/people/test_escalation.py::test_what_is_due",),
    ),
    _bug(
        "told-again-after-a-restart",
        "P5",
        "A notice that is put again after a restart is sent again.",
        (
            "store/sql/outbox.sql",
            "SELECT 1 FROM outbox WHERE notice = ? AND state != 'unreachable';",
            "SELECT 1 FROM outbox WHERE notice = ? AND state != 'unreachable' AND 0;",
        ),
        ("store/sql/outbox.sql", "INSERT OR IGNORE INTO outbox (", "INSERT OR REPLACE INTO outbox ("),
        noticed_by=("tests/people/test_outbox.py::test_a_restart_tells_nobody_twice",),
    ),
    # ---- P7: no process is left
    _bug(
        "kill-the-group-only",
        "P7",
        "Stopping a step ends its process group: what made a session of its own lives on.",
        (
            "steps/processes/spawner.py",
            "            if pid == 0:\n                return False\n            if pid == self._pid:\n                self._status = status\n",
            "            if pid == 0:\n                return self._status is not None and self._stopped\n"
            "            if pid == self._pid:\n                self._status = status\n",
        ),
        (
            "steps/processes/spawner.py",
            "        for pid in descendants(os.getpid()):\n            signal_quietly(pid, signal.SIGTERM)\n"
            "            signal_quietly(pid, signal.SIGCONT)\n",
            "        signal_quietly(-self._pid, signal.SIGTERM)\n        signal_quietly(-self._pid, signal.SIGCONT)\n",
        ),
        noticed_by=(
            "tests/steps/test_process_trees.py::test_nothing_is_left_after_a_cancel"
            "[a setsid grandchild traps TERM]",
        ),
    ),
    # ---- P8: no secret value in any byte
    _bug(
        "tokens-in-the-clear",
        "P8",
        "Tokens, sessions and login links are kept as they are shown.",
        (
            "server/identity/codes.py",
            '    return hashlib.sha256(secret.encode("ascii")).digest()\n',
            '    return secret.encode("ascii") or hashlib.sha256().digest()\n',
        ),
        noticed_by=("tests/store/test_identities.py::test_nothing_that_opens_a_door_is_kept",),
    ),
    _bug(
        "mask-after-truncation",
        "P8",
        "The tail of an output is cut first and masked afterwards: half a secret has no name.",
        (
            "steps/processes/streams.py",
            "        self.seen_bytes += len(data)\n        return self._hand_on(self._lines.feed(self._mask.feed(data)))\n",
            "        self.seen_bytes += len(data)\n        self.tail.add(data)\n"
            "        return self._hand_on(self._lines.feed(self._mask.feed(data)))\n",
        ),
        (
            "steps/processes/streams.py",
            "            return None\n        self.tail.add(batch)\n",
            "            return None\n",
        ),
        noticed_by=(
            "tests/steps/test_process_runner.py::test_secrets_are_masked_in_everything_that_comes_out",
        ),
    ),
    _bug(
        "mask-chunk-by-chunk",
        "P8",
        "Each piece of an output is masked for itself: a secret that is written in two is not found.",
        (
            "steps/secrets/masking.py",
            "        offset = max(0, len(data) - self._longest + 1)\n        tail = data[offset:]\n",
            "        offset = len(data)\n        tail = data[offset:]\n",
        ),
        noticed_by=(
            "tests/steps/test_masking.py::test_chunks_do_not_matter",
            "tests/faults/test_secrets_everywhere.py::test_a_secret_is_in_no_byte_after_a_run",
        ),
    ),
    _bug(
        "errors-not-masked",
        "P8",
        "The message of a failed step is kept as it came.",
        (
            "engines/performing/performer.py",
            "            error=_masked_error(masker, ending.error),\n",
            "            error=ending.error,\n",
        ),
        noticed_by=("tests/engines/test_secrets_in_errors.py::test_no_error_holds_a_secret",),
    ),
    # ---- P9: everything has a limit
    _bug(
        "output-without-bound",
        "P9",
        "What a step prints is kept to the last byte.",
        (
            "store/logs/writing.py",
            "        elif number not in self._tails and self._index.bytes_of(number) + size <= self._limits.head_bytes:\n",
            "        elif number not in self._tails:\n",
        ),
        noticed_by=("tests/store/test_logs.py::test_of_a_long_output_the_beginning_and_the_end_are_kept",),
    ),
    _bug(
        "depth-not-checked",
        "P9",
        "A file may nest as deep as it likes.",
        (
            "definition/source.py",
            "        if len(self._stack) >= DEPTH_MAX:\n",
            "        if len(self._stack) < 0:\n",
        ),
        noticed_by=("tests/definition/test_source.py::test_a_limit_has_a_name",),
    ),
    # ---- P10: the record of who did what
    _bug(
        "acts-without-links",
        "P10",
        "Acts of users, tokens and sessions are not linked to those before.",
        (
            "store/identities.py",
            "    before = NO_LINK if last is None else last[0]\n",
            "    before = NO_LINK\n",
        ),
        (
            "store/acts.py",
            "        holds = linked(link, (at, by, did, about, text)) == written\n",
            "        holds = linked(NO_LINK, (at, by, did, about, text)) == written\n",
        ),
        (
            "store/acts.py",
            "    if number != last + 1:\n",
            "    if False:\n",
        ),
        noticed_by=("tests/store/test_identities.py::test_one_who_changes_the_record_is_found",),
    ),
    _bug(
        "links-that-do-not-hang-together",
        "P10",
        "A record's digest is of itself alone: whoever swaps or removes records is not found out.",
        (
            "store/chain.py",
            "(previous, run, sequence, at, record), digest_size",
            '(b"", run, sequence, at, record), digest_size',
        ),
        noticed_by=("tests/store/test_chain.py::test_harm_is_found_where_it_was_done",),
    ),
    _bug(
        "runs-that-do-not-hang-together",
        "P10",
        "The first record of a run does not go on from the run before: runs that are started together are no chain.",
        (
            "store/chain.py",
            "            if sequence == 1:\n                self._start = (run, previous)\n",
            "",
        ),
        noticed_by=("tests/store/test_chain.py::test_runs_that_begin_in_one_transaction_are_one_chain",),
    ),
    # ---- P11: full and failing disks
    _bug(
        "goes-on-after-a-failed-sync",
        "P11",
        "After a write that failed the journal tries the next one, as if nothing had been.",
        (
            "store/journal.py",
            "            self._stop(error)\n            _disconnect(connection)\n            return [self._stopped] * len(group)\n",
            "            roll_back(connection)\n            return [unavailable(self._database, error)] * len(group)  # type: ignore[arg-type]\n",
        ),
        noticed_by=("tests/store/test_journal.py::test_a_sick_disk_stops_the_journal_for_good",),
    ),
    _bug(
        "deferred-transaction",
        "P11",
        "Transactions begin without the lock for writing: two writers meet halfway, and one fails.",
        (
            "store/connections.py",
            '    connection.execute("BEGIN IMMEDIATE")\n',
            '    connection.execute("BEGIN")\n',
        ),
        noticed_by=("tests/store/test_writers.py::test_two_writers_wait_for_each_other",),
    ),
    # ---- P13: clocks
    _bug(
        "sleeps-instead-of-looking",
        "P13",
        "A timer counts as due when its sleep is over, whatever the clock says by then.",
        (
            "engines/embedded/timers.py",
            "        while self._heap and self._heap[0][0] <= now:\n",
            "        if self._heap and now:\n",
        ),
        noticed_by=("tests/engines/test_timers.py::test_a_timer_that_is_woken_early_looks_at_the_clock",),
    ),
    _bug(
        "a-cron-tick-repeated",
        "P13",
        "A schedule goes by what the clock shows and not by what it has named: set back, it names the same starts again.",
        (
            "triggers/scheduler.py",
            "done_until=int(mark.value), now=now,",
            "done_until=min(int(mark.value), now - 86_400_000_000), now=now,",
        ),
        (
            "triggers/inbox.py",
            "        delivery=reading.delivery,\n",
            '        delivery=f"{reading.delivery}/{at}",\n',
        ),
        noticed_by=(
            "tests/triggers/test_scheduler.py::test_a_clock_that_goes_back_over_a_start_starts_it_once",
            "tests/triggers/test_scheduler.py::test_a_clock_that_jumps_repeats_nothing_and_skips_nothing",
        ),
    ),
    _bug(
        "a-clock-that-jumps-back-tells-twice",
        "P13",
        "When the clock is set back, a reminder whose time comes once more is sent once more.",
        (
            "people/escalation.py",
            "    if reminder is not None and reminder.number > told_reminders:\n",
            "    if reminder is not None:\n",
        ),
        noticed_by=("tests/people/test_escalation.py::test_what_is_due",),
    ),
    # ---- P14: text from outside is data
    _bug(
        "expression-in-a-script",
        "P14",
        "An expression inside `run` is let through: a value becomes code.",
        (
            "definition/checks/texts.py",
            "    found = list(_EXPRESSION.finditer(script))\n",
            "    return\n    found = list(_EXPRESSION.finditer(script))\n",
        ),
        noticed_by=(
            "tests/faults/test_hostile_files.py::test_a_hostile_file_is_refused_by_name"
            "[an expression in a script-run]",
        ),
    ),
    _bug(
        "address-as-an-option",
        "P14",
        "An address that begins with a dash reaches git as an option.",
        (
            "steps/builtin/git.py",
            '    if not url or url.startswith("-") or re.search(r"[\\x00-\\x1f\\x7f]", url):\n',
            '    if not url or re.search(r"[\\x00-\\x1f\\x7f]", url):\n',
        ),
        noticed_by=(
            "tests/steps/test_builtin_git.py::test_what_could_become_an_option_or_a_command_is_refused",
        ),
    ),
    _bug(
        "redirect-to-elsewhere",
        "P14",
        "After signing in one is sent wherever the address says.",
        (
            "server/identity/signing_in.py",
            '    if not is_plain or not path.startswith("/") or path.startswith("//"):\n',
            '    if not is_plain or not path.startswith("/"):\n',
        ),
        (
            "server/identity/signing_in.py",
            "    if found.scheme or found.netloc or ",
            "    if found.scheme or ",
        ),
        noticed_by=("tests/server/identity/test_signing_in.py::test_one_goes_on_to_our_own_pages_only",),
    ),
    _bug(
        "token-of-another-sign-in",
        "P14",
        "An ID token counts whose nonce is not that of this sign-in.",
        (
            "server/identity/oidc/verifying.py",
            "    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):\n",
            "    if not isinstance(nonce, str):\n",
        ),
        noticed_by=("tests/server/identity/test_oidc.py::test_a_forged_token_lets_nobody_in",),
    ),
    # ---- what a failing or cancelled run undoes
    _bug(
        "rollback-in-order-of-start",
        "P2",
        "What was done first is undone first.",
        ("core/rollback.py", "    return tuple(found)\n", "    return tuple(reversed(found))\n"),
        noticed_by=(
            "tests/scenarios/test_scenarios.py::test_scenario"
            "[rollback: a failed run undoes what it started, the latest first]",
            "tests/contracts/test_engine_contract.py::test_a_failure_is_rolled_back_in_reverse",
        ),
    ),
    _bug(
        "cancel-without-rollback",
        "P2",
        "A run that is cancelled leaves everything as it stands.",
        (
            "core/decide.py",
            "    rolls_back = s.rollback and turn.run.rolls_back\n",
            "    rolls_back = False\n",
        ),
        noticed_by=(
            "tests/scenarios/test_scenarios.py::test_scenario"
            "[cancelling: cancelling stops the step, undoes and runs the last steps]",
            "tests/contracts/test_engine_contract.py::test_a_cancel_stops_and_undoes",
        ),
    ),
    _bug(
        "definition-of-today",
        "P6",
        "A run that is folded again follows the workflow file as it is now, not the text that it started with.",
        (
            "engines/history.py",
            "            checked = loader.check_workflow(definition.text, path=definition.path)\n",
            "            from pathlib import Path as _Path\n\n"
            "            now = _Path(definition.path).read_text() if definition.path else definition.text\n"
            "            checked = loader.check_workflow(now, path=definition.path)\n",
        ),
        noticed_by=("tests/engines/test_pinned.py::test_a_run_goes_on_with_the_text_it_started_with",),
    ),
)
