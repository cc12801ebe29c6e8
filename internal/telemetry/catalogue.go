package telemetry

import (
	"log/slog"

	"go.opentelemetry.io/otel/attribute"
)

// The attributes. Those with a prefix of their own are ours; error.type, server.address and
// server.port are those of the OpenTelemetry semantic conventions.
const (
	keyOp          attribute.Key = "ehealth.operation"
	keyService     attribute.Key = "ehealth.service"
	keyClass       attribute.Key = "ehealth.class"
	keyOutcome     attribute.Key = "ehealth.outcome"
	keyError       attribute.Key = "error.type"
	keyCode        attribute.Key = "ehealth.error.code"
	keyHost        attribute.Key = "server.address"
	keyPort        attribute.Key = "server.port"
	keyHedged      attribute.Key = "ehealth.hedged"
	keyEnd         attribute.Key = "ehealth.call.end"
	keyAttempts    attribute.Key = "ehealth.call.attempts"
	keyTicket      attribute.Key = "ehealth.ticket"
	keyNotice      attribute.Key = "ehealth.notice"
	keyRetryAfter  attribute.Key = "ehealth.retry_after"
	keyNumber      attribute.Key = "ehealth.attempt.number"
	keyReason      attribute.Key = "ehealth.attempt.reason"
	keyVerdict     attribute.Key = "ehealth.attempt.verdict"
	keyDuration    attribute.Key = "ehealth.attempt.duration"
	keyAlternate   attribute.Key = "ehealth.endpoint.alternate"
	keyRefusal     attribute.Key = "ehealth.refusal.reason"
	keyBlocked     attribute.Key = "ehealth.blocked.by"
	keyFrom        attribute.Key = "ehealth.breaker.from"
	keyTo          attribute.Key = "ehealth.breaker.to"
	keyFunction    attribute.Key = "ehealth.function"
	keySession     attribute.Key = "ehealth.session.event"
	keyList        attribute.Key = "ehealth.list.event"
	keySource      attribute.Key = "ehealth.list.source"
	keyListError   attribute.Key = "ehealth.list.error"
	keyItemKind    attribute.Key = "ehealth.outbox.kind"
	keyItemState   attribute.Key = "ehealth.outbox.state"
	keyAnswer      attribute.Key = "ehealth.answer.source"
	keyStored      attribute.Key = "ehealth.answers.event"
	keyStoredError attribute.Key = "ehealth.answers.error"
	keyOverflow    attribute.Key = "otel.metric.overflow"
)

// attributeDef is a row of the table of attributes.
type attributeDef struct {
	Key     attribute.Key
	Type    string
	Values  string
	Meaning string
}

const otherNote = " or `_OTHER`"

var attributeDefs = []attributeDef{
	{keyOp, "string", "such as `insurability.Check`;" + otherNote, "what the caller asked for; belongs to the code"},
	{keyService, "string", "UDDI id;" + otherNote, "which service"},
	{keyClass, "string", "`read`, `idempotent_write`, `resolvable_write`, `unsafe_write`", "what a repeat may do"},
	{keyOutcome, "string", "`done`, `rejected`, `not_sent`, `unknown`", "whether it was carried out; `done` for an answer"},
	{keyError, "string", "`invalid`, `denied`, `not_found`, `conflict`, `throttled`, `unavailable`, `timeout`, `protocol`, `security`, `canceled`, `local`; of a span also `panic`", "kind of the failure; absent for success"},
	{keyCode, "string", "such as `SOA-02002`, `HTTP-503`;" + otherNote, "code of the platform, of the service or of WS-Security; at most 64 different ones; absent without a code"},
	{keyHost, "string", "host;" + otherNote, "the address that answered or was asked last; absent when none was asked"},
	{keyPort, "int", "", "its port; absent when the URL names none"},
	{keyHedged, "boolean", "", "of an attempt: it is a second question beside a slow one; of a call: such a question was answered"},
	{keyEnd, "string", "`done`, `canceled`, `deadline`, `attempts`, `budget`, `outcome_unknown`, `useless`, `refused_here`;" + otherNote, "why the call ended"},
	{keyAttempts, "int", "", "how many attempts left, hedges included"},
	{keyTicket, "string", "", "the platform's number for the failure, for its service desk; only if it looks like one"},
	{keyNotice, "string", "such as `D-INS-UNKNOWN`", "id of the text for the person"},
	{keyRetryAfter, "double", "seconds", "when to come back, as the server asked or we advise"},
	{keyNumber, "int", "from 1", "number of the attempt; a hedge has that of its original"},
	{keyReason, "string", "`first`, `retry`, `switch`, `token_renewed`, `hedge`;" + otherNote, "why the attempt was made"},
	{keyVerdict, "string", "`success`, `failure`, `ignored`", "what the attempt says about the address"},
	{keyDuration, "double", "seconds", "how long the attempt took"},
	{keyAlternate, "boolean", "", "the address is not the default one of the service"},
	{keyRefusal, "string", "`budget`, `local`", "`budget`: a retry was due and the budget was empty; `local`: nothing left this computer (bulkhead, rate limit, no address, own layer)"},
	{keyBlocked, "string", "`breaker`, `limit`", "what kept the attempt from leaving; `limit`: bulkhead, rate limit or adaptive limit"},
	{keyFrom, "string", "`closed`, `open`, `half_open`, `forced_open`", "state before the change"},
	{keyTo, "string", "the same", "state after the change"},
	{keyFunction, "string", "such as `insurability`;" + otherNote, "what a person does; from the configuration"},
	{keySession, "string", "`renewed`, `adopted`, `renewal_failed`, `kept`, `ends_soon`, `fallback_used`, `lost`, `group_refusal`, `store_failed`;" + otherNote, "what happened to the session"},
	{keyList, "string", "`loaded`, `installed`, `refused`, `unreachable`, `reachable`, `not_stored`, `ignored`;" + otherNote, "what happened to the service list"},
	{keySource, "string", "`network`, `disk`, `embedded`, `nowhere`", "where the list came from"},
	{keyListError, "string", "see the table of reasons;" + otherNote, "why the list was refused, not fetched or not stored; absent when nothing failed"},
	{keyItemKind, "string", "such as `recipe.archive`;" + otherNote, "which operation a queued write is; belongs to the code"},
	{keyItemState, "string", "`held`, `prepared`, `ready`, `sending`, `unknown`, `parked`, `done`, `rejected`, `expired`, `cancelled`", "where a queued write stands, see docs/outbox.md"},
	{keyAnswer, "string", "`live`, `alternate`, `stored`, `unknown`", "where an answer came from"},
	{keyStored, "string", "`not_stored`, `not_read`, `damaged`, `not_purged`, `in_use`, `taken_over`;" + otherNote, "what happened to the stored answers"},
	{keyStoredError, "string", "`in_use`, `full`, `busy`, `damaged`, `key`, `newer`, `too_large`, `closed`;" + otherNote, "why; absent when nothing failed"},
	{keyOverflow, "boolean", "`true`", "the only attribute of measurements beyond 2000 different sets of attributes"},
}

// metricDef is a row of the table of metrics.
type metricDef struct {
	Name  string
	Kind  string // instrument
	Unit  string // UCUM
	About string
	Keys  []attribute.Key
}

var outcomeKeys = []attribute.Key{keyOp, keyService, keyOutcome, keyError, keyCode, keyHost, keyPort, keyHedged}

var (
	mCalls     = metricDef{"ehealth.client.calls", "counter", "{call}", "Calls that ended.", append([]attribute.Key{keyClass, keyEnd}, outcomeKeys...)}
	mCallTime  = metricDef{"ehealth.client.call.duration", "histogram", "s", "Time of a call, all attempts and pauses included.", outcomeKeys}
	mAttempts  = metricDef{"ehealth.client.attempts", "counter", "{attempt}", "Attempts that left and ended; retries are those whose reason is not first.", append([]attribute.Key{keyClass, keyReason, keyVerdict}, outcomeKeys...)}
	mTryTime   = metricDef{"ehealth.client.attempt.duration", "histogram", "s", "Time of one attempt.", outcomeKeys}
	mRefusals  = metricDef{"ehealth.client.refusals", "counter", "{call}", "Calls that ended because this computer refused to go on.", []attribute.Key{keyOp, keyService, keyRefusal}}
	mBlocked   = metricDef{"ehealth.client.blocked_attempts", "observable counter", "{attempt}", "Attempts that never left.", []attribute.Key{keyService, keyBlocked}}
	mProbes    = metricDef{"ehealth.client.probes", "observable counter", "{probe}", "Cheap questions to addresses whose breaker is open.", []attribute.Key{keyService}}
	mActive    = metricDef{"ehealth.client.active_calls", "observable updowncounter", "{call}", "Calls under way.", []attribute.Key{keyService}}
	mBudget    = metricDef{"ehealth.client.budget", "observable gauge", "{token}", "Tokens left for retries and hedges; absent without a budget.", []attribute.Key{keyService}}
	mLimit     = metricDef{"ehealth.client.concurrency_limit", "observable gauge", "{call}", "Adaptive limit of an address; absent when it is off.", []attribute.Key{keyService, keyHost, keyPort}}
	mBreaker   = metricDef{"ehealth.breaker.state", "observable gauge", "1", "State of a breaker: 0 closed, 1 open, 2 half-open, 3 forced open.", []attribute.Key{keyService, keyHost, keyPort}}
	mChanges   = metricDef{"ehealth.breaker.changes", "counter", "{change}", "Changes of a breaker's state.", []attribute.Key{keyService, keyHost, keyPort, keyFrom, keyTo}}
	mHealth    = metricDef{"ehealth.health.condition", "gauge", "1", "How well a function works: 0 ok, 1 slow, 2 degraded, 3 down.", []attribute.Key{keyFunction}}
	mSession   = metricDef{"ehealth.session.events", "counter", "{event}", "What happened to the session.", []attribute.Key{keySession, keyError}}
	mList      = metricDef{"ehealth.list.events", "counter", "{event}", "What happened to the service list.", []attribute.Key{keyList, keySource, keyListError}}
	mItems     = metricDef{"ehealth.outbox.changes", "counter", "{change}", "Changes of queued writes, by the state they came into.", []attribute.Key{keyItemKind, keyItemState}}
	mQueue     = metricDef{"ehealth.outbox.items", "observable gauge", "{item}", "Queued writes by state; those done and cancelled are kept for a while.", []attribute.Key{keyItemKind, keyItemState}}
	mAnswered  = metricDef{"ehealth.insurability.answers", "counter", "{call}", "Answers about insurability by where they came from; unknown is none.", []attribute.Key{keyService, keyAnswer}}
	mStored    = metricDef{"ehealth.answers.events", "counter", "{event}", "What happened to the stored answers.", []attribute.Key{keyStored, keyStoredError}}
	mListIssue = metricDef{"ehealth.list.issued", "gauge", "s", "When the list in force was issued, in seconds since 1970-01-01 UTC.", nil}
)

var metricDefs = []*metricDef{
	&mCalls, &mCallTime, &mAttempts, &mTryTime, &mRefusals, &mBlocked, &mProbes, &mActive, &mBudget, &mLimit,
	&mBreaker, &mChanges, &mHealth, &mSession, &mList, &mListIssue, &mItems, &mQueue, &mAnswered, &mStored,
}

// boundaries of the histograms in seconds: from a cached connection to the longest call.
var boundaries = []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60}

// eventAttempt is the one event of spans.
const eventAttempt = "ehealth.attempt"

// The keys of log lines. None of them is one whose value internal/redact masks.
const (
	logOp         = "op"
	logService    = "service"
	logClass      = "class"
	logEndpoint   = "endpoint"
	logOutcome    = "outcome"
	logKind       = "kind"
	logCode       = "code"
	logAttempts   = "attempts"
	logHedged     = "hedged"
	logWhy        = "why"
	logLatency    = "latency"
	logFrom       = "from"
	logUntil      = "until"
	logReason     = "reason"
	logFailures   = "failures"
	logFunction   = "function"
	logWith       = "with"
	logWhere      = "where"
	logNextCheck  = "next_check"
	logNotice     = "notice"
	logLogin      = "login"
	logCause      = "cause"
	logSource     = "source"
	logIssued     = "issued"
	logChanges    = "changes"
	logRedirected = "redirected"
	logItem       = "item"
	logWhat       = "what"
)

// logKeyDef is a row of the table of log keys.
type logKeyDef struct{ Key, Type, Meaning string }

var logKeyDefs = []logKeyDef{
	{logOp, "string", "what the caller asked for, such as `insurability.Check`"},
	{logService, "string", "UDDI id of the service"},
	{logClass, "string", "`Read`, `IdempotentWrite`, `ResolvableWrite`, `UnsafeWrite`"},
	{logEndpoint, "string", "host of the address, with its port if the URL names one; never a path"},
	{logOutcome, "string", "`done`, `rejected`, `not sent`, `unknown`"},
	{logKind, "string", "kind of the failure, as `fault.Kind` prints it"},
	{logCode, "string", "code of the platform or the service, if it looks like one"},
	{logAttempts, "int", "how many attempts left, hedges included"},
	{logHedged, "bool", "a second question beside a slow one was answered; absent when false"},
	{logWhy, "string", "why the call ended, as `resilience.Why` prints it; absent when it is `done`"},
	{logLatency, "duration", "time of the call"},
	{logFrom, "string", "state of the breaker, or of the write, before"},
	{logUntil, "time", "end of the breaker's open time; end of the session's token"},
	{logReason, "string", "why the breaker opened; why the list was refused (see the table of reasons); why a write stands still"},
	{logFailures, "int", "failures in a row"},
	{logFunction, "string", "name of the function, from the configuration"},
	{logWith, "string", "by what means a degraded function works"},
	{logWhere, "string", "`network`, `platform`, `partner`: where the failure is; absent when there is none"},
	{logNextCheck, "time", "when an address that failed is asked again"},
	{logNotice, "string", "id of the text that was shown or can be shown to the person"},
	{logLogin, "string", "name of the login, from the configuration"},
	{logCause, "string", "kind of the failure behind the event"},
	{logSource, "string", "`network`, `disk`, `embedded`, `nowhere`"},
	{logIssued, "time", "when the list was issued"},
	{logChanges, "int", "how many services have another address now"},
	{logRedirected, "string", "ids of the first 20 of these services"},
	{logItem, "string", "id of a queued write, which tells nothing about its content: for `ehealth outbox show`"},
	{logWhat, "string", "which operation it is, such as `recipe.archive`"},
}

// lineDef is a row of the table of log lines.
type lineDef struct {
	Msg   string
	Level slog.Level
	Keys  []string
	About string
}

var (
	callKeys    = []string{logOp, logService, logClass, logEndpoint, logOutcome, logAttempts, logHedged, logLatency}
	failKeys    = append([]string{logKind, logCode, logWhy}, callKeys...)
	breakerKeys = []string{logService, logEndpoint, logFrom, logUntil, logReason, logFailures}
	healthKeys  = []string{logFunction, logWith, logWhere, logService, logNextCheck, logNotice}
	sessionKeys = []string{logUntil, logLogin, logNotice, logCause}
	failedList  = []string{logSource, logReason}
)

var (
	lineDone     = &lineDef{"call done", slog.LevelDebug, callKeys, "a call was answered by its first attempt"}
	lineDegraded = &lineDef{"call degraded", slog.LevelInfo, callKeys, "a call was answered, but not by its first attempt: after a retry, at another address, by a hedge"}
	lineCanceled = &lineDef{"call canceled", slog.LevelInfo, failKeys, "the caller gave up"}
	lineFailed   = &lineDef{"call failed", slog.LevelWarn, failKeys, "a call ended without a usable answer"}
	lineUnsafe   = &lineDef{"call refused for security", slog.LevelError, failKeys, "a certificate, a signature or the correlation of an answer did not hold: somebody should look"}
)

var breakerLines = map[string]*lineDef{
	"closed":      {"breaker closed", slog.LevelInfo, breakerKeys, "the address works again"},
	"open":        {"breaker open", slog.LevelWarn, breakerKeys, "the address is left alone"},
	"half-open":   {"breaker half-open", slog.LevelInfo, breakerKeys, "the address is tried again, one call at a time"},
	"forced open": {"breaker forced open", slog.LevelWarn, breakerKeys, "somebody closed the address by hand"},
}

var healthLines = map[string]*lineDef{
	"ok":       {"function ok", slog.LevelInfo, healthKeys, "the function works, after it did not"},
	"slow":     {"function slow", slog.LevelInfo, healthKeys, "it answers slowly"},
	"degraded": {"function degraded", slog.LevelInfo, healthKeys, "it works by other means"},
	"down":     {"function down", slog.LevelWarn, healthKeys, "it does not work"},
}

// sessionLines are by the names of sts.EventKind.
var sessionLines = map[string]*lineDef{
	"renewed":        {"session renewed", slog.LevelInfo, sessionKeys, "there is a new token"},
	"adopted":        {"session adopted", slog.LevelInfo, sessionKeys, "a token was taken from the store"},
	"renewal failed": {"session renewal failed", slog.LevelWarn, sessionKeys, "a login or a renewal failed"},
	"kept":           {"session kept", slog.LevelWarn, sessionKeys, "renewal fails, the token at hand is used on"},
	"ends soon":      {"session ends soon", slog.LevelWarn, sessionKeys, "half an hour is left and renewal fails"},
	"fallback used":  {"session fallback used", slog.LevelWarn, sessionKeys, "another login than the first gave the token; cause is why"},
	"lost":           {"session lost", slog.LevelError, sessionKeys, "there is no token and login fails"},
	"group refusal":  {"session group refusal", slog.LevelError, sessionKeys, "many calls were refused at once: a fault of the platform"},
	"store failed":   {"session store failed", slog.LevelWarn, sessionKeys, "the token cannot be read from the store or kept there"},
	"unknown":        {"session event", slog.LevelInfo, sessionKeys, "something else happened to the session"},
}

var itemKeys = []string{logItem, logWhat, logFrom, logReason}

// itemLines are by the names of outbox.State.
var itemLines = map[string]*lineDef{
	"ready":     {"write waits", slog.LevelDebug, itemKeys, "a queued write was not carried out and will be sent again"},
	"unknown":   {"write unknown", slog.LevelInfo, itemKeys, "a write was sent and nobody knows what became of it: it is found out"},
	"parked":    {"write parked", slog.LevelWarn, itemKeys, "a write cannot go on without a person"},
	"done":      {"write done", slog.LevelDebug, itemKeys, "a write was carried out"},
	"rejected":  {"write rejected", slog.LevelWarn, itemKeys, "the service refused a write for good"},
	"expired":   {"write expired", slog.LevelWarn, itemKeys, "the time of a write was over before it could be sent"},
	"cancelled": {"write cancelled", slog.LevelInfo, itemKeys, "a person took a write back"},
}

var storedKeys = []string{logReason}

// storedLines are by the names of cache.AnswersEventKind.
var storedLines = map[string]*lineDef{
	"not stored": {"answer not stored", slog.LevelWarn, storedKeys, "an answer could not be stored; it is in memory only"},
	"not read":   {"answers not read", slog.LevelWarn, storedKeys, "the store of answers could not be read; answers are in memory only"},
	"damaged":    {"answers damaged", slog.LevelWarn, storedKeys, "a stored answer, or the whole file, was damaged and set aside"},
	"not purged": {"answers not purged", slog.LevelWarn, storedKeys, "answers whose time is over could not be removed; they are not used"},
	"in use":     {"answers in use", slog.LevelWarn, storedKeys, "another process has the file of answers open; answers are in memory only"},
	"taken over": {"answers taken over", slog.LevelInfo, storedKeys, "the store of answers can be used at last"},
	"unknown":    {"answers event", slog.LevelInfo, storedKeys, "something else happened to the stored answers"},
}

// listLines are by the names of bcp.EventKind.
var listLines = map[string]*lineDef{
	"loaded":      {"service list loaded", slog.LevelInfo, []string{logSource, logIssued}, "a stored list is in force"},
	"installed":   {"service list installed", slog.LevelInfo, []string{logSource, logIssued, logChanges, logRedirected}, "a new list is in force"},
	"refused":     {"service list refused", slog.LevelError, failedList, "a list did not verify; nothing changed"},
	"unreachable": {"service list unreachable", slog.LevelWarn, failedList, "no list can be fetched"},
	"reachable":   {"service list reachable", slog.LevelInfo, []string{logSource}, "the list can be fetched again"},
	"not stored":  {"service list not stored", slog.LevelWarn, failedList, "the list in force cannot be written to disk"},
	"ignored":     {"service list entry ignored", slog.LevelWarn, append([]string{logService}, failedList...), "the list says something about a service that is not used"},
	"unknown":     {"service list event", slog.LevelInfo, failedList, "something else happened to the list"},
}
