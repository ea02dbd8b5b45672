// Writes a vulnerability database for Trivy out of JSON on standard input, into the folder `db` of a cache.
//
//	database CACHE UPDATED-AT < vulnerabilities.json
//
// The JSON has a member for each bucket; a member of a bucket is either a bucket again or a value. A value is an object under
// the key "value". The whole database is replaced.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/aquasecurity/trivy-db/pkg/db"
	"github.com/aquasecurity/trivy-db/pkg/metadata"
	bolt "go.etcd.io/bbolt"
)

type node map[string]json.RawMessage

func put(bucket *bolt.Bucket, content node) error {
	for key, raw := range content {
		var inner node
		if err := json.Unmarshal(raw, &inner); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if value, is := inner["value"]; is {
			if err := bucket.Put([]byte(key), value); err != nil {
				return err
			}
			continue
		}
		below, err := bucket.CreateBucketIfNotExists([]byte(key))
		if err != nil {
			return err
		}
		if err := put(below, inner); err != nil {
			return err
		}
	}
	return nil
}

func write(cache string, updated time.Time) error {
	var content map[string]node
	if err := json.NewDecoder(os.Stdin).Decode(&content); err != nil {
		return err
	}
	folder := filepath.Join(cache, "db")
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	store, err := bolt.Open(filepath.Join(folder, "trivy.db"), 0o600, nil)
	if err != nil {
		return err
	}
	defer store.Close()
	err = store.Update(func(tx *bolt.Tx) error {
		for name, inner := range content {
			bucket, err := tx.CreateBucketIfNotExists([]byte(name))
			if err != nil {
				return err
			}
			if err := put(bucket, inner); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return metadata.NewClient(folder).Update(metadata.Metadata{
		Version:      db.SchemaVersion,
		UpdatedAt:    updated,
		DownloadedAt: updated,
		NextUpdate:   updated.Add(24 * time.Hour),
	})
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: database CACHE UPDATED-AT < vulnerabilities.json")
		os.Exit(2)
	}
	updated, err := time.Parse(time.RFC3339, os.Args[2])
	if err == nil {
		err = write(os.Args[1], updated)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
