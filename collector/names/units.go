package names

import "strings"

// unitName names a systemd unit so that no other cgroup has the name: by the unit alone where its manager puts it by itself, by its path
// anywhere else: below another slice, in the tree of a container that is no runtime's, or where somebody only called a cgroup so. Short names
// have no slash, paths have one. It returns the namespace too: "system", or "user-1000" for what a user's manager runs.
func unitName(parts []string) (space, name string) {
	u := parts[len(parts)-1]
	user, rest := userOf(parts)
	if user == "" {
		if u == "init.scope" && len(parts) == 1 || u != "init.scope" && isDefault(parts, "system") {
			return "system", u
		}
		return "system", slashedPath(parts)
	}
	manager := "user@" + strings.TrimPrefix(user, userPrefix) + ".service"
	switch session := strings.HasPrefix(u, "session-") && strings.HasSuffix(u, ".scope"); {
	case len(rest) == 1 && session:
		return user, u
	case rest[0] != manager:
		return user, "/" + strings.Join(parts, "/")
	case len(rest) == 2 && u == "init.scope", isDefault(rest[1:], "app") && u != "init.scope" && !session:
		return user, u
	}
	return user, slashedPath(rest[1:])
}

// userPrefix begins the slice of a user, which ends in the user's id.
const userPrefix = "user-"

// userOf returns whose slice a path lies in, and the path below it.
func userOf(parts []string) (user string, rest []string) {
	if len(parts) < 3 || parts[0] != "user.slice" {
		return "", nil
	}
	user, ok := strings.CutSuffix(parts[1], ".slice")
	if id, is := strings.CutPrefix(user, userPrefix); !ok || !is || !digits(id) {
		return "", nil
	}
	return user, parts[2:]
}

// isDefault says whether a unit is in the slice where its manager puts it by itself: system.slice or app.slice, and the instances of a
// template in a slice of their own below that.
func isDefault(parts []string, slice string) bool {
	u := parts[len(parts)-1]
	template, _, instance := strings.Cut(u, "@")
	if parts[0] != slice+".slice" || instance && strings.HasSuffix(u, ".scope") {
		return false
	}
	if !instance {
		return len(parts) == 2
	}
	return len(parts) == 3 && parts[1] == slice+"-"+strings.ReplaceAll(template, "-", `\x2d`)+".slice"
}

// slashedPath joins a path so that it has a slash.
func slashedPath(parts []string) string {
	if len(parts) == 1 {
		return "/" + parts[0]
	}
	return strings.Join(parts, "/")
}
