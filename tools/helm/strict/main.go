// Strict reads Kubernetes objects from standard input and decodes each as the API server would with field validation
// set to strict: a field that its type does not have, or has twice, is an error. Types that are not Kubernetes' own, of the API groups
// in the arguments, are left to others.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
)

func main() {
	if err := decodeAll(os.Stdin, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func decodeAll(from io.Reader, foreign []string) error {
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewYAMLReader(bufio.NewReader(from))
	var failed []error
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return errors.Join(failed...)
		}
		if err != nil {
			return err
		}
		_, kind, err := decoder.Decode(document, nil, nil)
		if runtime.IsNotRegisteredError(err) && slices.Contains(foreign, kind.Group) {
			continue
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%w in\n%s", err, document))
		}
	}
}
