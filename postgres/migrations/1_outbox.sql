-- Items, lines and leases of package resilience/outbox. Times are nanoseconds since 1970, 0 = none.
-- States: 1 held, 2 prepared, 3 ready, 4 sending, 5 unknown (2 to 5 stand in their line), then settled.
-- Contents are sealed above: nothing here is readable without the key, so compressing is in vain.
CREATE TABLE @.item (
	id       uuid     PRIMARY KEY,
	line     uuid     NOT NULL,
	seq      bigint   NOT NULL, -- place in the line; 0 until the transaction that carries it commits
	rev      bigint   NOT NULL,
	kind     text     COLLATE "C" NOT NULL CHECK (kind <> ''),
	state    smallint NOT NULL CHECK (state BETWEEN 1 AND 10),
	priority smallint NOT NULL CHECK (priority BETWEEN 0 AND 2),
	attempt  bigint   NOT NULL,
	due      bigint   NOT NULL,
	expires  bigint   NOT NULL,
	changed  bigint   NOT NULL,
	meta     bytea    NOT NULL,
	payload  bytea,
	answer   bytea
);
ALTER TABLE @.item ALTER meta SET STORAGE EXTERNAL, ALTER payload SET STORAGE EXTERNAL, ALTER answer SET STORAGE EXTERNAL;
CREATE INDEX item_open ON @.item (line, seq) WHERE state BETWEEN 2 AND 5;
CREATE INDEX item_settled ON @.item (state, changed, id) WHERE NOT (state BETWEEN 2 AND 5);
CREATE INDEX item_expiry ON @.item (expires, id) WHERE state <= 3 AND expires <> 0;
CREATE INDEX item_count ON @.item (kind, state);
CREATE SEQUENCE @.seq;

-- One row for each line in which something waits: its head, and who holds it. The row is the lease.
CREATE TABLE @.line (
	line  uuid     PRIMARY KEY,
	head  uuid     NOT NULL,
	kind  text     COLLATE "C" NOT NULL,
	rank  smallint NOT NULL, -- 0 is served first
	due   bigint   NOT NULL,
	until bigint   NOT NULL DEFAULT 0, -- on the clock of this server; 0 = free
	epoch bigint   NOT NULL DEFAULT 0,
	owner text     NOT NULL DEFAULT '',
	ready bigint   NOT NULL GENERATED ALWAYS AS (greatest(due, CASE WHEN until = 0 THEN due ELSE until + 1 END)) STORED
) WITH (fillfactor = 80);
CREATE INDEX line_ready ON @.line (kind, rank, ready, line);
CREATE SEQUENCE @.epoch;

-- What was damaged, as it was.
CREATE TABLE @.aside (LIKE @.item, reason text NOT NULL, PRIMARY KEY (id));

CREATE TABLE @.mark (name text PRIMARY KEY, value bytea NOT NULL);

CREATE FUNCTION @.rank(priority smallint) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
	'SELECT (CASE priority WHEN 1 THEN 0 WHEN 0 THEN 1 ELSE 2 END)::smallint';

-- now is the clock of this server; tests of one process give theirs.
CREATE FUNCTION @.now(a_test bigint) RETURNS bigint LANGUAGE sql VOLATILE AS
	'SELECT coalesce(a_test, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000)';

-- durable makes this transaction's commit wait for the disk, whatever the session was set to.
CREATE FUNCTION @.durable() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF current_setting('synchronous_commit') = 'off' THEN
		PERFORM set_config('synchronous_commit', 'on', true);
	END IF;
END $$;

-- lock is the advisory lock of an ordering key, held until the transaction ends. Without it two puts into
-- one line could get places that contradict the order of their commits.
CREATE FUNCTION @.lock(a_line uuid) RETURNS void LANGUAGE sql VOLATILE AS
	$$SELECT pg_advisory_xact_lock(hashtextextended('@ line ' || a_line::text, 0))$$;

-- lock_id makes whoever puts the same item wait for a transaction that carries it, before he holds
-- anything that transaction could need.
CREATE FUNCTION @.lock_id(a_id uuid) RETURNS void LANGUAGE sql VOLATILE AS
	$$SELECT pg_advisory_xact_lock(hashtextextended('@ item ' || a_id::text, 0))$$;

-- settle brings the row of a line in step with its first open item, and returns that item's kind; a line
-- without open items has no row and no lease. It must see what was committed while the lock was waited
-- for: with the snapshot of another isolation level an item put meanwhile would stand in no line.
CREATE FUNCTION @.settle(a_line uuid, a_release boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE h record;
BEGIN
	IF current_setting('transaction_isolation') NOT LIKE 'read %' THEN
		RAISE 'the session is not READ COMMITTED by default' USING ERRCODE = 'invalid_transaction_state';
	END IF;
	SELECT id, kind, @.rank(priority) AS rank, due INTO h FROM @.item
		WHERE line = a_line AND state BETWEEN 2 AND 5 ORDER BY seq LIMIT 1;
	IF NOT FOUND THEN
		DELETE FROM @.line WHERE line = a_line;
		RETURN NULL;
	END IF;
	INSERT INTO @.line AS x (line, head, kind, rank, due) VALUES (a_line, h.id, h.kind, h.rank, h.due)
		ON CONFLICT (line) DO UPDATE SET head = h.id, kind = h.kind, rank = h.rank, due = h.due,
			until = CASE WHEN a_release THEN 0 ELSE x.until END, owner = CASE WHEN a_release THEN '' ELSE x.owner END
		WHERE x.head <> h.id OR x.kind <> h.kind OR x.rank <> h.rank OR x.due <> h.due OR a_release AND x.until <> 0;
	RETURN h.kind;
END $$;

-- The operations of the store. Codes: 0 done, 1 exists, 2 not found, 3 stale, 4 lease lost, 5 leased, 6 nothing.

CREATE FUNCTION @.insert(
	a_id uuid, a_line uuid, a_kind text, a_state smallint, a_priority smallint, a_attempt bigint, a_due bigint, a_expires bigint,
	a_changed bigint, a_meta bytea, a_payload bytea, a_answer bytea, a_owner text, a_for bigint, a_now bigint,
	OUT code int, OUT o_seq bigint, OUT o_epoch bigint
) LANGUAGE plpgsql AS $$
DECLARE u bigint := 0; o text := '';
BEGIN
	PERFORM @.durable(), @.lock_id(a_id), @.lock(a_line);
	o_seq := nextval('@.seq');
	INSERT INTO @.item VALUES (a_id, a_line, o_seq, 1, a_kind, a_state, a_priority, a_attempt, a_due, a_expires, a_changed, a_meta, a_payload, a_answer)
		ON CONFLICT (id) DO NOTHING;
	IF NOT FOUND THEN
		code := 1;
		RETURN;
	END IF;
	code := 0;
	o_epoch := 0;
	IF a_state NOT BETWEEN 2 AND 5 THEN
		RETURN;
	END IF;
	IF a_owner IS NOT NULL THEN
		o_epoch := nextval('@.epoch');
		u := @.now(a_now) + a_for;
		o := a_owner;
	END IF;
	INSERT INTO @.line (line, head, kind, rank, due, until, epoch, owner)
		VALUES (a_line, a_id, a_kind, @.rank(a_priority), a_due, u, o_epoch, o) ON CONFLICT (line) DO NOTHING;
	IF NOT FOUND THEN
		o_epoch := 0;
	END IF;
END $$;

-- join stores an item in the transaction of somebody else. Its place is given when that one commits.
CREATE FUNCTION @.join(
	a_id uuid, a_line uuid, a_kind text, a_state smallint, a_priority smallint, a_attempt bigint, a_due bigint, a_expires bigint,
	a_changed bigint, a_meta bytea, a_payload bytea, a_answer bytea
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM @.durable(), @.lock_id(a_id);
	INSERT INTO @.item VALUES (a_id, a_line, 0, 1, a_kind, a_state, a_priority, a_attempt, a_due, a_expires, a_changed, a_meta, a_payload, a_answer)
		ON CONFLICT (id) DO NOTHING;
	RETURN FOUND;
END $$;

CREATE FUNCTION @.joined() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM @.durable(), @.lock(NEW.line);
	UPDATE @.item SET seq = nextval('@.seq') WHERE id = NEW.id AND seq = 0;
	IF FOUND AND NEW.state BETWEEN 2 AND 5 THEN
		INSERT INTO @.line (line, head, kind, rank, due)
			VALUES (NEW.line, NEW.id, NEW.kind, @.rank(NEW.priority), NEW.due) ON CONFLICT (line) DO NOTHING;
		PERFORM pg_notify('@.outbox', '');
	END IF;
	RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER joined AFTER INSERT ON @.item DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW WHEN (NEW.seq = 0) EXECUTE FUNCTION @.joined();

CREATE FUNCTION @.swap(
	a_id uuid, a_rev bigint, a_state smallint, a_priority smallint, a_attempt bigint, a_due bigint, a_expires bigint, a_changed bigint,
	a_meta bytea, a_payload bytea, a_answer bytea, a_drop boolean, a_line uuid, a_owner text, a_epoch bigint, a_release boolean,
	OUT code int, OUT o_next text
) LANGUAGE plpgsql AS $$
DECLARE l uuid; was bigint; opened boolean;
BEGIN
	code := 2;
	SELECT line INTO l FROM @.item WHERE id = a_id;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	PERFORM @.durable(), @.lock(l);
	SELECT rev, state BETWEEN 2 AND 5 INTO was, opened FROM @.item WHERE id = a_id FOR UPDATE;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	IF was + 1 <> a_rev THEN
		code := 3;
		RETURN;
	END IF;
	IF a_owner IS NOT NULL THEN
		PERFORM FROM @.line WHERE line = l AND line = a_line AND until <> 0 AND owner = a_owner AND (a_epoch = 0 OR epoch = a_epoch) FOR UPDATE;
		IF NOT FOUND THEN
			code := 4;
			RETURN;
		END IF;
	END IF;
	UPDATE @.item SET rev = a_rev, state = a_state, priority = a_priority, attempt = a_attempt, due = a_due, expires = a_expires,
		changed = a_changed, meta = a_meta, answer = coalesce(a_answer, answer),
		payload = CASE WHEN a_payload IS NOT NULL THEN a_payload WHEN a_drop THEN NULL ELSE payload END
		WHERE id = a_id;
	IF opened OR a_state BETWEEN 2 AND 5 OR a_owner IS NOT NULL THEN
		o_next := @.settle(l, a_owner IS NOT NULL AND a_release);
	END IF;
	code := 0;
END $$;

-- claim lends the line asked for, or the best that is free and due. o_next, with code 6, is on the
-- clock of the caller.
CREATE FUNCTION @.claim(
	a_owner text, a_now bigint, a_for bigint, a_line uuid, a_kinds text[], a_urgent boolean, a_test bigint,
	OUT code int, OUT o_left bigint, OUT o_epoch bigint, OUT o_next bigint, OUT i @.item
) LANGUAGE plpgsql AS $$
DECLARE n bigint := @.now(a_test); l @.line; bad int := 0;
BEGIN
	PERFORM @.durable();
	IF a_line IS NOT NULL THEN
		PERFORM @.lock(a_line);
	END IF;
	LOOP
		IF a_line IS NOT NULL THEN
			SELECT * INTO l FROM @.line WHERE line = a_line FOR UPDATE;
		ELSE
			FOR r IN 0 .. CASE WHEN a_urgent THEN 0 ELSE 2 END LOOP
				SELECT (c.x).* INTO l FROM unnest(a_kinds) k, LATERAL (
					SELECT x FROM @.line x
					WHERE x.kind = k AND x.rank = r AND x.ready <= greatest(a_now, n) AND x.due <= a_now AND x.until < n
					ORDER BY x.ready, x.line LIMIT 1 FOR UPDATE SKIP LOCKED
				) c ORDER BY (c.x).ready, (c.x).line LIMIT 1;
				EXIT WHEN FOUND;
			END LOOP;
		END IF;
		IF l.line IS NULL THEN
			code := 6;
			IF a_line IS NULL THEN
				o_next := @.next(a_now, n, a_kinds, a_urgent);
			END IF;
			RETURN;
		END IF;
		IF l.until >= n AND l.owner <> a_owner THEN
			code := 5;
			RETURN;
		END IF;
		SELECT * INTO i FROM @.item WHERE id = l.head AND line = l.line AND state BETWEEN 2 AND 5;
		EXIT WHEN FOUND;
		-- Somebody changed the tables by hand: put the line in order.
		PERFORM @.settle(l.line, false);
		l := NULL;
		bad := bad + 1;
		IF bad > 100 THEN
			RAISE 'the lines do not fit the items' USING ERRCODE = 'data_corrupted';
		END IF;
	END LOOP;
	IF l.until < n THEN
		l.until := n + a_for;
		l.epoch := nextval('@.epoch');
		UPDATE @.line SET until = l.until, epoch = l.epoch, owner = a_owner WHERE line = l.line;
	ELSIF l.until < n + a_for THEN
		l.until := n + a_for;
		UPDATE @.line SET until = l.until WHERE line = l.line;
	END IF;
	code := 0;
	o_left := l.until - n;
	o_epoch := l.epoch;
END $$;

-- next tells when there will be something to claim: 0 = nothing waits. What is due but was locked by
-- another worker at that moment is looked at again 20 ms later.
CREATE FUNCTION @.next(a_now bigint, n bigint, a_kinds text[], a_urgent boolean) RETURNS bigint LANGUAGE sql VOLATILE AS $$
	SELECT coalesce(min(CASE WHEN at > a_now THEN at ELSE a_now + 20000000 END), 0) FROM (
		SELECT greatest(due, CASE WHEN until = 0 THEN due ELSE until + 1 + a_now - n END) AS at
		FROM unnest(a_kinds) k, generate_series(0, CASE WHEN a_urgent THEN 0 ELSE 2 END) r, LATERAL (
			SELECT due, until FROM @.line x WHERE x.kind = k AND x.rank = r ORDER BY x.ready LIMIT 1
		) first
	) all_firsts
$$;

CREATE FUNCTION @.release(a_line uuid, a_owner text, a_epoch bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM @.durable();
	UPDATE @.line SET until = 0, owner = '' WHERE line = a_line AND until <> 0 AND owner = a_owner AND (a_epoch = 0 OR epoch = a_epoch);
	RETURN FOUND;
END $$;

CREATE FUNCTION @.remove(a_id uuid, a_rev bigint, a_reason text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE l uuid; was bigint;
BEGIN
	SELECT line INTO l FROM @.item WHERE id = a_id;
	IF NOT FOUND THEN
		RETURN 2;
	END IF;
	PERFORM @.durable(), @.lock(l);
	SELECT rev INTO was FROM @.item WHERE id = a_id FOR UPDATE;
	IF NOT FOUND THEN
		RETURN 2;
	END IF;
	IF a_rev <> 0 AND a_rev <> was THEN
		RETURN 3;
	END IF;
	IF a_reason <> '' THEN
		DELETE FROM @.aside WHERE id = a_id;
		INSERT INTO @.aside SELECT i.*, a_reason FROM @.item i WHERE id = a_id;
	END IF;
	DELETE FROM @.item WHERE id = a_id;
	PERFORM @.settle(l, false);
	RETURN 0;
END $$;

CREATE FUNCTION @.set_mark(a_name text, a_old bytea, a_next bytea) RETURNS bytea LANGUAGE plpgsql AS $$
BEGIN
	PERFORM @.durable();
	IF a_old IS NULL THEN
		INSERT INTO @.mark VALUES (a_name, a_next) ON CONFLICT (name) DO NOTHING;
	ELSE
		UPDATE @.mark SET value = a_next WHERE name = a_name AND value = a_old;
	END IF;
	RETURN (SELECT value FROM @.mark WHERE name = a_name);
END $$;
