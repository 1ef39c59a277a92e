"""Files in storages that fsspec knows, such as S3 and Google Cloud: by URL, through local copies.

What reads and writes media knows paths of this machine only. ``ends.LocalEnds`` fetches an input
before that, and uploads the output after it.
"""
