"""Contents of the public messages, field by field. Only fields that are named here are public.

A field that is called otherwise in the event keeps the event's name here, and says what it is
called outside. Fields that only the store needs, and those that follow from others, are left
out: see ``application/reading.py``.
"""
