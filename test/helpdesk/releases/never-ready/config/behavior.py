def search_index() -> None:
    raise RuntimeError("the search index has no segments")
