"""The JSON template document: read with all its problems, then written as mail, as web page and as text.

`compile.py` is the way in. A document becomes a model (`document.py`, one file per family of blocks), and the model is
written into tables (`writer.py`). Nothing here is fetched: what the document names by URL comes in as `Resources`.
"""
