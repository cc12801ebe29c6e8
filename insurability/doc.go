// Package insurability asks whether a patient is insured, and for what.
package insurability
