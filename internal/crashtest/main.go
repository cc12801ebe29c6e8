package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"
)

func main() {
	if childArgs() != "" {
		os.Exit(child())
	}
	n := flag.Int("n", 1000, "crashes")
	par := flag.Int("parallel", 4*runtime.NumCPU(), "campaigns at a time")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "decides what happens, but not when")
	dir := flag.String("dir", "", "where the files go; default: a temporary directory, removed when all is well")
	flag.Parse()
	began := time.Now()
	rep, err := runAll(*dir, *n, *par, *seed)
	rep.print(os.Stdout)
	fmt.Printf("seed %d, %v\n", *seed, time.Since(began).Round(time.Second))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
