-- Sealed answers of package cache, under opaque ids. Times are nanoseconds since 1970, clamped.
CREATE TABLE @.answer (
	id      bytea  PRIMARY KEY,
	record  bytea  NOT NULL,
	expires bigint NOT NULL
);
ALTER TABLE @.answer ALTER record SET STORAGE EXTERNAL;
CREATE INDEX answer_expires ON @.answer (expires);
