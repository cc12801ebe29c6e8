// Package appclient talks to the generic stateful application that the sandbox offers for trying
// writes: Put does something once, Query tells whether it was done. It stands for prescriptions and
// mail where those would only distract, in drills, in certification and in the ehealth command.
//
//	app := appclient.New(x, security)
//	box, err := outbox.Open(ctx, store, keys, outbox.Handle(appclient.Kind, app.Handler(), appclient.Policy()))
//
// A failed call is a *fault.Error whose Outcome says whether the application may have executed. An
// answer about another reference is [ErrAnswer]. No error text holds a reference or a payload.
package appclient
