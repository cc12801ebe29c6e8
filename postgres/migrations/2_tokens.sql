-- Sealed tokens of package sts, under keyed digests.
CREATE TABLE @.token (
	name    bytea       PRIMARY KEY,
	record  bytea       NOT NULL,
	changed timestamptz NOT NULL
);
ALTER TABLE @.token ALTER record SET STORAGE EXTERNAL;
