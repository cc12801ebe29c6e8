// Package telemetry turns what the other packages tell into OpenTelemetry metrics and spans and
// into log lines. It knows no SDK: whoever runs the program brings one, or none.
//
//	tel, err := telemetry.New(telemetry.Options{Logger: slog.Default()}) // global providers
//	stop, err := tel.Attach(engine)                                      // calls, breakers, health, counters
//	defer stop()
//	pipeline := resilience.NewPipeline(engine, telemetry.Layers[*Req, *Resp](tel), send) // spans
//
// The service list goes to [Telemetry.List], sessions to [Telemetry.Session].
//
// # What comes out
//
// docs/observability.md lists every metric, attribute, span, span event and log line. Its tables
// are made of the tables in catalogue.go, the same ones that the code takes its names from.
//
// A call gives one span, not one per layer; its attempts are events of the span. A call gives one
// log line, written where it ends for good. Failures are not logged by those who return them.
//
// # What never comes out
//
// Personal data, tokens, bodies and the texts of servers. Nothing here reads the request or the
// answer, and of an error only its kind, its outcome and what looks like a code, a ticket or a
// notice. Names of operations and services belong to the code, hosts and functions to the
// configuration; all are checked for their form and bounded in number, and what is left over
// is called "_OTHER". What is logged goes through internal/redact on top.
//
// # What fails
//
// [New] and [Telemetry.Attach] fail when the meter refuses an instrument, which the API's own
// meters never do. Everything else has no error: a call never fails because of its telemetry.
// Without an SDK and a logger a call pays for the span that the API makes and for nothing else.
package telemetry
