"""WHO DECIDES: who is asked, what they may say, when they are told, and when the day is over."""

from towpath.people.authority import Allow, Case, Deny, Outlook, Verdict, case_of, judge, outlook
from towpath.people.calendars import Entry, Opening, Timetable, timetable
from towpath.people.directory import Directory, Duty, Resolution, Shift
from towpath.people.escalation import Rung, due, expires_at, ladder, next_at

__all__ = [
    "Allow",
    "Case",
    "Deny",
    "Directory",
    "Duty",
    "Entry",
    "Opening",
    "Outlook",
    "Resolution",
    "Rung",
    "Shift",
    "Timetable",
    "Verdict",
    "case_of",
    "due",
    "expires_at",
    "judge",
    "ladder",
    "next_at",
    "outlook",
    "timetable",
]
