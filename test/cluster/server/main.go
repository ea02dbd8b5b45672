// A small release for containers: one static program whose behaviour is set by its environment. test/support/static-server.ts
// is its like for processes.
//
//	PORT, HOST       where it listens; default 8000 on all addresses
//	VERSION          sent as x-version with every answer; default v1
//	START_DELAY      how long until it listens
//	READY_AFTER      /health/ answers 503 until so long after it listens; "never": for ever
//	CRASH_AFTER      exit 1 so long after its start
//	ERROR_EVERY      every n-th application request is answered 500
//	LATENCY_MS       added to every application request
//	ON_SIGTERM       what SIGTERM does:
//	                 stop-accepting   closes the listening socket and idle connections at once, finishes what is in flight,
//	                                  exits 0: as gunicorn does. The default.
//	                 drain            /health/ turns 503 and everything is served on for DRAIN_FOR, then stop-accepting
//	                 close-announced  every answer says Connection: close and new connections are accepted on for
//	                                  DRAIN_FOR, then stop-accepting
//	                 ignore           nothing
//	DRAIN_FOR        default 5s
//	GRACE            the most that stop-accepting waits for what is in flight before exit 1; default 30s
//
//	QUEUE            works jobs instead of serving: worker.go
//
// Durations are Go's: 250ms, 1.5s, 2m. SIGINT ends it at once. Every path is the application's and answers 200 with JSON, the
// body of the request counted; except /health/, /metrics (Prometheus), and /slow?ms=N, which takes N ms.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var bucketLimits = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

type settings struct {
	address                                                   string
	version, onSigterm                                        string
	startDelay, readyAfter, crashAfter, latency, drain, grace time.Duration
	neverReady                                                bool
	errorEvery                                                int64
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(2)
}

func text(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func duration(name, otherwise string) time.Duration {
	value, err := time.ParseDuration(text(name, otherwise))
	if err != nil || value < 0 {
		fail("%s=%s not allowed; it must be a duration such as 250ms or 1.5s", name, os.Getenv(name))
	}
	return value
}

func count(name string, otherwise int64) int64 {
	value, err := strconv.ParseInt(text(name, strconv.FormatInt(otherwise, 10)), 10, 32)
	if err != nil || value < 0 {
		fail("%s=%s not allowed; it must be a number of at least 0", name, os.Getenv(name))
	}
	return value
}

func readSettings() settings {
	s := settings{
		address:    net.JoinHostPort(os.Getenv("HOST"), strconv.FormatInt(count("PORT", 8000), 10)),
		version:    text("VERSION", "v1"),
		onSigterm:  text("ON_SIGTERM", "stop-accepting"),
		startDelay: duration("START_DELAY", "0s"),
		crashAfter: duration("CRASH_AFTER", "0s"),
		latency:    time.Duration(count("LATENCY_MS", 0)) * time.Millisecond,
		drain:      duration("DRAIN_FOR", "5s"),
		grace:      duration("GRACE", "30s"),
		neverReady: os.Getenv("READY_AFTER") == "never",
		errorEvery: count("ERROR_EVERY", 0),
	}
	if !s.neverReady {
		s.readyAfter = duration("READY_AFTER", "0s")
	}
	switch s.onSigterm {
	case "stop-accepting", "drain", "close-announced", "ignore":
	default:
		fail("ON_SIGTERM=%s not allowed; use stop-accepting, drain, close-announced or ignore", s.onSigterm)
	}
	return s
}

type metrics struct {
	sync.Mutex
	byCode  map[int]int64
	buckets []int64
	seconds float64
	// Of the application, that were taken and are not answered yet.
	inFlight int64
}

func (m *metrics) begin() {
	m.Lock()
	defer m.Unlock()
	m.inFlight++
}

func (m *metrics) observe(code int, seconds float64) {
	m.Lock()
	defer m.Unlock()
	m.inFlight--
	m.byCode[code]++
	m.seconds += seconds
	for i, limit := range bucketLimits {
		if seconds <= limit {
			m.buckets[i]++
		}
	}
}

func (m *metrics) String() string {
	m.Lock()
	defer m.Unlock()
	var out strings.Builder
	codes := make([]int, 0, len(m.byCode))
	for code := range m.byCode {
		codes = append(codes, code)
	}
	sort.Ints(codes)
	total := int64(0)
	out.WriteString("# TYPE http_requests_total counter\n")
	for _, code := range codes {
		total += m.byCode[code]
		fmt.Fprintf(&out, "http_requests_total{code=\"%d\"} %d\n", code, m.byCode[code])
	}
	fmt.Fprintf(&out, "# TYPE http_requests_in_flight gauge\nhttp_requests_in_flight %d\n", m.inFlight)
	out.WriteString("# TYPE http_request_duration_seconds histogram\n")
	for i, limit := range bucketLimits {
		fmt.Fprintf(&out, "http_request_duration_seconds_bucket{le=\"%v\"} %d\n", limit, m.buckets[i])
	}
	fmt.Fprintf(&out, "http_request_duration_seconds_bucket{le=\"+Inf\"} %d\n", total)
	fmt.Fprintf(&out, "http_request_duration_seconds_sum %v\n", m.seconds)
	fmt.Fprintf(&out, "http_request_duration_seconds_count %d\n", total)
	return out.String()
}

func main() {
	if queue := os.Getenv("QUEUE"); queue != "" {
		work(queue, text("ROLE", "worker"))
	}
	s := readSettings()
	terminated := make(chan os.Signal, 1)
	if s.onSigterm == "ignore" {
		signal.Ignore(syscall.SIGTERM)
	} else {
		signal.Notify(terminated, syscall.SIGTERM)
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT)
	go func() {
		<-interrupted
		os.Exit(130)
	}()
	if s.crashAfter > 0 {
		time.AfterFunc(s.crashAfter, func() { os.Exit(1) })
	}
	select {
	case <-time.After(s.startDelay):
	case <-terminated:
		os.Exit(0)
	}

	host, _ := os.Hostname()
	var requests atomic.Int64
	var leaving, announcing atomic.Bool
	seen := &metrics{byCode: map[int]int64{}, buckets: make([]int64, len(bucketLimits))}
	var listening time.Time

	answer := func(w http.ResponseWriter, status int, contentType string, body []byte) {
		if announcing.Load() {
			w.Header().Set("Connection", "close")
		}
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}
	answerJSON := func(w http.ResponseWriter, status int, value any) {
		body, _ := json.Marshal(value)
		answer(w, status, "application/json", body)
	}

	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		w.Header().Set("X-App", "1")
		w.Header().Set("X-Version", s.version)
		switch r.URL.Path {
		case "/health/":
			status, state := http.StatusOK, "healthy"
			if s.neverReady || leaving.Load() || time.Since(listening) < s.readyAfter {
				status, state = http.StatusServiceUnavailable, "unhealthy"
			}
			answerJSON(w, status, map[string]any{"status": state, "version": s.version})
			return
		case "/metrics":
			answer(w, http.StatusOK, "text/plain; version=0.0.4", []byte(seen.String()))
			return
		}
		size, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return
		}
		seen.begin()
		status := http.StatusOK
		if n := requests.Add(1); s.errorEvery > 0 && n%s.errorEvery == 0 {
			status = http.StatusInternalServerError
		}
		wait := s.latency
		if r.URL.Path == "/slow" {
			ms, _ := strconv.Atoi(r.URL.Query().Get("ms"))
			wait += time.Duration(ms) * time.Millisecond
		}
		time.Sleep(wait)
		seen.observe(status, time.Since(began).Seconds())
		answerJSON(w, status, map[string]any{
			"version": s.version, "path": r.URL.RequestURI(), "host": host, "bodyBytes": size,
		})
	})

	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		fail("%v", err)
	}
	listening = time.Now()
	fmt.Printf("{\"listening\":%d,\"version\":%q}\n", listener.Addr().(*net.TCPAddr).Port, s.version)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	ended := make(chan int, 1)
	go func() {
		<-terminated
		fmt.Printf("{\"sigterm\":%q}\n", s.onSigterm)
		switch s.onSigterm {
		case "drain":
			leaving.Store(true)
			time.Sleep(s.drain)
		case "close-announced":
			announcing.Store(true)
			time.Sleep(s.drain)
		}
		limit, cancel := context.WithTimeout(context.Background(), s.grace)
		defer cancel()
		// Closes the listening socket and idle connections first, then waits.
		if server.Shutdown(limit) != nil {
			ended <- 1
		}
		ended <- 0
	}()
	if err := server.Serve(listener); err != http.ErrServerClosed {
		fail("%v", err)
	}
	os.Exit(<-ended)
}
