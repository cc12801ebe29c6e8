package figures

// description is what the page says about a figure.
type description struct {
	no, name, formula, scenario string
	note                        string // what to know when reading the numbers
}

// descriptions are in the order of dossier 08 section 4. Numbers in them are those of the scenarios, never results.
var descriptions = []description{
	{
		no: "1", name: "Retry amplification in a total outage",
		formula:  "attempts in [t0, t1] / operations begun in [t0, t1]",
		scenario: "The server is gone for 60 s: it refuses connections, takes them and never answers, cuts them, or answers byte by byte for 30 s.",
		note: "The same targets are applied to a service with two addresses that are both down, which dossier 08 did not simulate: each address has a breaker of its own, " +
			"so up to twice the attempts leave. \"Breaker off\" shows what the retry budget does alone.",
	},
	{
		no: "2", name: "Time to recover",
		formula:  "first t ≥ t1 with 99 % success over the next 5 s, minus t1; never = not within 2 minutes",
		scenario: "After the outages of figure 1, at 80 % of the capacity, and at 40 %.",
		note: "The target is 1.5 × the open time of the breaker. A client without a breaker that repeats nothing recovers at once from an outage in which the server took no work, and pays " +
			"for it during the outage: every call is sent, and waits for its whole time-out.",
	},
	{
		no: "3", name: "Metastability margin",
		formula:  "shortest brownout (to 30 % of the capacity, load 80 %) from which the fleet does not recover within 10 minutes; none = not in a series up to 30 min",
		scenario: "Brownouts of 2, 5, 10, 20 s, 1, 5 and 30 min.",
		note:     "The server works off what it took even when nobody waits any more. That is the feedback which keeps an overload alive after its cause is gone.",
	},
	{
		no: "4", name: "Goodput with 30 % random errors",
		formula:  "operations answered / operations; attempts / operations",
		scenario: "30 % of the answers are HTTP 503 for 60 s. The server has twice the capacity here, so that errors are measured and not overload.",
		note:     "The connector-like client repeats only at a second address; the rows with two addresses show it.",
	},
	{
		no: "5", name: "Goodput in a brownout",
		formula:  "operations begun and answered in the window / operations begun in it",
		scenario: "32 % of the capacity for 20 s. The ceiling is S'/L = 40 %.",
		note: "An answer counts only if it comes within the 15 s that a person waits. The target is for one busy client: a client of 2 calls a second sees too little to know how much the " +
			"server bears, and gives up early instead. What is not answered at once is then an error after a few seconds, not a screen that stands still.",
	},
	{
		no: "8", name: "Herd peak at recovery",
		formula:  "max over 1 s of the attempts after the outage / capacity",
		scenario: "500 clients with 20 operations each in their queues, after an outage of 60 s. Until the outbox is wired to the services, its drain is played by a stub with the same pace.",
		note: "The connector has no queue (dossier 12, scenario 12): nothing waits to be sent, and what failed in the outage is lost. " +
			"Of ours, operations that waited in the same queue of the server are followed by pauses of the same length, so that some clients stay in step: the peaks of single seeds come from there.",
	},
	{
		no: "9", name: "Efficiency and politeness of the drain",
		formula:  "ideal time of the drain / actual (0 = not drained in three times the ideal); success and 95th percentile of interactive operations meanwhile",
		scenario: "As figure 8, beside 50 interactive operations a second whose persons wait for 2 s. The drain starts at a random moment of the first minute and pauses after each operation for 20 times what it took.",
	},
	{
		no: "12", name: "Tokens per user and day",
		formula:  "requests to the STS per user and working day (8 h, 400 calls, two processes, both restarted at noon); target ⌈8 h / life of the token⌉, and none after the restart",
		scenario: "Ours against the STS of the sandbox, with the token kept encrypted on disk. Lives of 24, 12 and 5 h are asked for in the field (dossier 01 A.11).",
		note: "A token is renewed at a random moment of the third quarter of its life, so that an outage of the STS finds a fresh one. With lives shorter than two working days that costs a request " +
			"more than the target, which counts tokens that are used to their last minute.",
	},
	{
		no: "13", name: "Renewal herd",
		formula:  "max STS requests a second, over one minute and over one second, when 500 users log on within 10 minutes and tokens live equally long; mean = logins / 10 min",
		scenario: "Tokens of 24 h. Ours renews at its random moment, the naive client when a call finds its token expired, the connector-like one at half of the life (switched on).",
		note:     "Both rows are held to three times the mean. A second is short for that: three requests that fall into one by chance are above it, at any mean rate as low as this.",
	},
	{
		no: "14", name: "Mode flapping",
		formula:  "switches between addresses in the worst hour; share of the calls that go first to an address that is down",
		scenario: "The default address is up and down every 20 s, for 6 h; the alternate works. One process makes 10 calls a second. The naive client switches at the first failure, and back as soon as a look every second succeeds.",
		note: "A switch is one of the continuity mode, which is announced to the person. Beside it, the memory of addresses moves single calls: an address that failed rests, and one call at a time tries it again. " +
			"The third row counts every change of the address that is asked first, trials and returns included. The connector-like client moves to the alternate once and never comes back until it is restarted.",
	},
	{
		no: "15", name: "Cancellation",
		formula:  "time from the end of the caller's context to the return of the call, 99th percentile over all layers in which a call can wait; goroutines left afterwards",
		scenario: "Bulkhead, rate limit, adaptive limit, pause before a retry, hedge, send, token, and a whole exchange over HTTP. Ours on the wall clock, the others on virtual time.",
		note:     "The naive client sleeps up to 5 s between tries without looking; the connector has no way to end a call but its 30 s time-out.",
	},
}
