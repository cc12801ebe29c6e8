// Package resilience holds what one call to a remote service needs to end, within its
// deadline, in a definite answer. It knows nothing of SOAP, XML or eHealth.
//
// Today it holds three things: the class of an operation, which decides what may be
// repeated ([Class]); the addresses of a service ([Endpoint], [Directory]); and [Addresses],
// which remembers which of them failed lately and says in what order to ask.
// Retry budgets, breakers, limits, hedging and health are not here yet.
package resilience
