package packaging_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// repository is where this repository is, as seen by tests.
const repository = ".."

func workflowFiles(t *testing.T) (all []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(repository, ".github/workflows/*.yml"))
	if err != nil || len(all) == 0 {
		t.Fatal("there are no workflows", err)
	}
	return all
}

func TestWorkflowsAreValid(t *testing.T) {
	// Without the checkers of shell and Python that it would use if they happened to be there.
	command := []string{"tool", "-modfile=tools/actionlint/go.mod", "actionlint", "-shellcheck=", "-pyflakes="}
	cmd := exec.Command("go", command...)
	cmd.Dir = repository
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// step is what a job or a step of it says of who does it, and how.
type step struct {
	Uses        string
	With        map[string]any
	Run         string
	Permissions any
	Steps       []step
}

func TestActionsArePinnedAndWithoutRightsTheyDoNotNeed(t *testing.T) {
	pinned := regexp.MustCompile(`^\S+@[0-9a-f]{40}$`)
	commented := regexp.MustCompile(`uses: \S+@[0-9a-f]{40} # v\d+\.\d+\.\d+\n`)
	fetched := regexp.MustCompile(`(curl|wget)[^\n]*\|[^\n]*sh\b`)
	for _, file := range workflowFiles(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var workflow struct {
			On          map[string]any
			Permissions map[string]any
			Jobs        map[string]step
		}
		if err := yaml.Unmarshal(text, &workflow); err != nil {
			t.Fatal(file, err)
		}
		if _, is := workflow.On["pull_request_target"]; is || len(workflow.On) == 0 {
			t.Errorf("%s runs on %v", file, workflow.On)
		}
		if workflow.Permissions == nil || len(workflow.Permissions) > 0 {
			t.Errorf("%s: all jobs have permissions: %v", file, workflow.Permissions)
		}
		var actions int
		for name, job := range workflow.Jobs {
			if job.Permissions == nil {
				t.Errorf("%s: %s has no permissions of its own", file, name)
			}
			for _, s := range append(job.Steps, job) {
				if s.Uses != "" && !strings.HasPrefix(s.Uses, "./") {
					actions++
					if !pinned.MatchString(s.Uses) {
						t.Errorf("%s: %s is not pinned", file, s.Uses)
					}
				}
				if strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != false {
					t.Errorf("%s: %s leaves credentials behind", file, name)
				}
				if fetched.MatchString(s.Run) {
					t.Errorf("%s: %s runs what it fetches", file, name)
				}
			}
		}
		if named := len(commented.FindAll(text, -1)); named != actions || actions == 0 {
			t.Errorf("%s: of %d actions %d say which version they are", file, actions, named)
		}
	}
}
