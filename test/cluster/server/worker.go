package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// What a worker or a scheduler does, where QUEUE names a server of jobs (test/cluster/job-queue.ts), instead of serving:
//
//	QUEUE     http://host:port
//	ROLE      worker: takes a job, works it for as long as the queue says, reports it done, and takes the next; SIGTERM is a
//	          warm shutdown, as Celery's: the job in hand is finished, no other is taken, exit 0.
//	          scheduler: tells the queue that it runs, every 100 ms; after SIGTERM for STOP_AFTER more (default 0s), then exit 0.
//	START_DELAY  how long until it begins
func work(queue, role string) {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	time.Sleep(duration("START_DELAY", "0s"))
	host, _ := os.Hostname()
	client := &http.Client{Timeout: 5 * time.Second}
	ask := func(path string, values url.Values) string {
		values.Set("by", host)
		values.Set("version", text("VERSION", "v1"))
		for {
			answer, err := client.Post(queue+path+"?"+values.Encode(), "text/plain", nil)
			if err == nil {
				body, _ := io.ReadAll(answer.Body)
				answer.Body.Close()
				return strings.TrimSpace(string(body))
			}
			fmt.Println(err)
			time.Sleep(100 * time.Millisecond)
		}
	}
	var end time.Time
	for {
		select {
		case <-terminated:
			end = time.Now().Add(duration("STOP_AFTER", "0s"))
			fmt.Printf("{\"sigterm\":%q}\n", role)
		default:
		}
		if !end.IsZero() && time.Now().After(end) {
			os.Exit(0)
		}
		if role == "scheduler" {
			ask("/beat", url.Values{})
			time.Sleep(100 * time.Millisecond)
			continue
		}
		var id, takes string
		if _, err := fmt.Sscan(ask("/take", url.Values{}), &id, &takes); err != nil {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		time.Sleep(mustParse(takes))
		ask("/done", url.Values{"id": {id}})
	}
}

func mustParse(value string) time.Duration {
	parsed, err := time.ParseDuration(value)
	if err != nil {
		fail("%v", err)
	}
	return parsed
}
