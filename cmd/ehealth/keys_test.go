package main_test

import _ "github.com/ehealth-continuity/ehealth/sandbox/testkeys" // a test does not begin with making keys
