-- Which library the store belongs to: the id in the library's own marker. No row until the two have met.

CREATE TABLE library (
    library_key INTEGER PRIMARY KEY CHECK (library_key = 1),
    id TEXT NOT NULL CHECK (id <> '')
);
