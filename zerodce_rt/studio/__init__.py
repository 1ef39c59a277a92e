"""Studio: a page in the browser, for live pictures and for files.

One process. asyncio does the network (``app``, ``peer``); threads do the work: one for each live
session (``session``), one for frames to look at (``previews``), one for the queue of files
(``jobs``). They share plain data only.
"""
