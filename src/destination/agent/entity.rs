//! Which container we run in: container id and entity id from the texts under `/proc/self`.
//!
//! The rules are those of the Datadog tracers and the agent: the first line of `/proc/self/cgroup` whose path
//! ends in a container id (64 hex digits, a UUID, a Garden id, a Fargate task id) gives
//! `Datadog-Container-ID` and the entity id `ci-<id>`; without one, `/proc/self/mountinfo` may name it; else
//! the inode of the cgroup node gives `in-<inode>`, unless we are in the host's own cgroup namespace, where
//! it would name the host. Only read when the caller asked for it (`detectContainer`).

use std::path::PathBuf;

/// The ids of the container; empty where unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entity {
    /// Value of `Datadog-Container-ID`.
    pub container_id: String,
    /// Value of `Datadog-Entity-ID`.
    pub entity_id: String,
}

/// Inode of the cgroup namespace of the host itself.
#[cfg(target_os = "linux")]
const HOST_CGROUP_NAMESPACE: u64 = 0xEFFF_FFFB;
/// More of `/proc/self/cgroup` is not read.
const MAX_TEXT: u64 = 256 * 1024;

/// Reads the ids of this process. Nothing known is not an error.
pub fn detect() -> Entity {
    let Some(cgroup) = read("/proc/self/cgroup") else { return Entity::default() };
    // Asked only where the first has no id: the list of mounts can be long.
    let mounts = || read("/proc/self/mountinfo").unwrap_or_default();
    from_texts(&cgroup, mounts, || node_inode(&cgroup))
}

fn read(path: &str) -> Option<String> {
    use std::io::Read;
    let mut text = Vec::new();
    std::fs::File::open(path).ok()?.take(MAX_TEXT).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// The ids from the contents of `/proc/self/cgroup`; where that has no container id, from those of
/// `/proc/self/mountinfo`, and where that has none, from the inode.
pub fn from_texts(
    cgroup: &str,
    mounts: impl FnOnce() -> String,
    inode: impl FnOnce() -> Option<u64>,
) -> Entity {
    let found = container_id(cgroup).map(str::to_owned);
    match found.or_else(|| container_id_of_mounts(&mounts()).map(str::to_owned)) {
        Some(id) => Entity { entity_id: format!("ci-{id}"), container_id: id },
        None => Entity {
            container_id: String::new(),
            entity_id: inode().map(|n| format!("in-{n}")).unwrap_or_default(),
        },
    }
}

/// The container id of the first line that has one.
pub fn container_id(cgroup: &str) -> Option<&str> {
    cgroup.lines().find_map(|line| {
        let (number, rest) = line.split_once(':')?;
        let (_, path) = rest.split_once(':')?;
        let numbered = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        numbered.then(|| id_at_end(path)).flatten()
    })
}

/// The container id in a list of mounts: the runtime mounts `/etc/hostname` and its like from a directory
/// that is called by it (`…/containers/<id>/hostname`). The rightmost of a line counts; a sandbox of
/// containerd is not the container.
pub fn container_id_of_mounts(mounts: &str) -> Option<&str> {
    mounts.lines().find_map(|line| {
        let paths = line.split([' ', '\t']).rev().filter(|path| path.contains("hostname"));
        paths
            .filter_map(id_before_hostname)
            .next()
            .and_then(|(parent, id)| (parent != "sandboxes").then_some(id))
    })
}

/// The directory called by an id, and the one above it, in a path that has `hostname` behind them.
fn id_before_hostname(path: &str) -> Option<(&str, &str)> {
    let behind = path.rfind("hostname")?;
    let parts: Vec<&str> = path.get(..behind)?.split('/').collect();
    let at = (1..parts.len()).rev().find(|i| parts.get(*i).is_some_and(|part| is_id(part)))?;
    Some((*parts.get(at - 1)?, *parts.get(at)?)).filter(|(parent, _)| !parent.is_empty())
}

fn is_id(text: &str) -> bool {
    id_suffix(text).is_some_and(|id| id.len() == text.len())
}

/// The cgroup node whose inode identifies the container: that of the memory controller, else that of version 2.
pub fn cgroup_node(cgroup: &str) -> Option<PathBuf> {
    let mut v2 = None;
    for line in cgroup.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let path = path.trim_start_matches('/');
        if controllers.split(',').any(|c| c == "memory") {
            return Some(PathBuf::from("/sys/fs/cgroup/memory").join(path));
        }
        if controllers.is_empty() && v2.is_none() {
            v2 = Some(PathBuf::from("/sys/fs/cgroup").join(path));
        }
    }
    v2
}

#[cfg(target_os = "linux")]
fn node_inode(cgroup: &str) -> Option<u64> {
    use std::os::linux::fs::MetadataExt;
    let namespace = std::fs::metadata("/proc/self/ns/cgroup").ok()?.st_ino();
    if namespace == HOST_CGROUP_NAMESPACE {
        return None;
    }
    let inode = std::fs::metadata(cgroup_node(cgroup)?).ok()?.st_ino();
    (inode > 0).then_some(inode)
}

#[cfg(not(target_os = "linux"))]
fn node_inode(_: &str) -> Option<u64> {
    None
}

/// An id at the end of `path`, behind which a systemd scope (`.scope`, `.scope/leaf`) and spaces may stand.
fn id_at_end(path: &str) -> Option<&str> {
    let path = path.trim_end_matches(' ');
    id_suffix(path).or_else(|| {
        let at = path.rfind(".scope")?;
        let behind = path.get(at + ".scope".len()..)?;
        let leaf = behind.strip_prefix('/');
        let scope = behind.is_empty() || leaf.is_some_and(|l| !l.is_empty() && !l.contains(['/', ' ', '\t']));
        if scope { id_suffix(path.get(..at)?) } else { None }
    })
}

/// The longest id that `text` ends in.
fn id_suffix(text: &str) -> Option<&str> {
    let tail = |n: usize| text.len().checked_sub(n).and_then(|at| text.get(at..));
    let uuid = |n: usize, groups: &[usize], either: bool| {
        tail(n).filter(|t| {
            let mut rest = *t;
            groups.iter().enumerate().all(|(i, len)| {
                let separated = i == 0
                    || rest
                        .strip_prefix('-')
                        .or_else(|| rest.strip_prefix('_').filter(|_| either))
                        .is_some_and(|r| {
                            rest = r;
                            true
                        });
                separated
                    && rest.get(..*len).filter(|g| is_hex(g)).is_some_and(|_| {
                        rest = rest.get(*len..).unwrap_or_default();
                        true
                    })
            })
        })
    };
    tail(64)
        .filter(|t| is_hex(t))
        .or_else(|| task_id(text))
        .or_else(|| uuid(36, &[8, 4, 4, 4, 12], true))
        .or_else(|| uuid(28, &[8, 4, 4, 4, 4], false))
}

/// A Fargate task id: 32 hex digits, a dash, a number.
fn task_id(text: &str) -> Option<&str> {
    let dash = text.rfind('-')?;
    let number = text.get(dash + 1..)?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let start = dash.checked_sub(32)?;
    text.get(start..dash).filter(|t| is_hex(t))?;
    text.get(start..)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "3726184226f5d3147c25fdeab5b60097e378e8a720503a5e19ecfdf29f869860";
    const UUID: &str = "34dc0b5e-626f-2c5c-4c51-70e34b10e765";
    const TASK: &str = "34dc0b5e626f2c5c4c5170e34b10e765-1234567890";
    const PCF: &str = "6f265890-5165-7fab-6b52-18d1";

    #[test]
    fn finds_the_id_at_the_end_of_a_path() {
        for (line, id) in [
            (format!("13:name=systemd:/docker/{HEX}"), HEX),
            (
                format!("11:perf_event:/kubepods/besteffort/pod3d274242-8ee0-11e9-a8a6-1e68d864ef1a/{HEX}"),
                HEX,
            ),
            (format!("1:name=systemd:/system.slice/docker-{HEX}.scope"), HEX),
            (format!("1:name=systemd:/system.slice/libpod-{HEX}.scope/container"), HEX),
            (format!("1:name=systemd:/nope/{HEX}   "), HEX),
            (format!("9:perf_event:/ecs/haissam-ecs-classic/5a0d5ceddf6c44c1928d367a815d890f/{HEX}"), HEX),
            (format!("1:name=systemd:/ecs/{TASK}"), TASK),
            (format!("1:name=systemd:/uuid/{UUID}"), UUID),
            (format!("1:name=systemd:/uuid/{}", UUID.replace('-', "_")), &UUID.replace('-', "_")),
            (format!("1:name=systemd:/system.slice/garden.service/garden/{PCF}"), PCF),
            (format!("0::/../{HEX}"), HEX),
            (format!("1:a,b,c:prefix{HEX}"), HEX),
        ] {
            assert_eq!(container_id(&line), Some(id), "{line}");
        }
    }

    #[test]
    fn what_is_no_id_is_none() {
        for line in [
            "".to_owned(),
            "0::/".to_owned(),
            "1:name=systemd:/user.slice/user-0.slice/session-14.scope".to_owned(),
            format!("1:name=systemd:/docker/{}", HEX.to_uppercase()),
            format!("1:name=systemd:/docker/{}", &HEX[1..]),
            format!("1:name=systemd:/docker/{HEX}/more"),
            format!("1:name=systemd:/docker/{HEX}.scope/a/b"),
            format!("x:name=systemd:/docker/{HEX}"),
            format!(":name=systemd:/docker/{HEX}"),
            format!("no colons {HEX}"),
            format!("1:name=systemd:/ecs/{}-", &TASK[..32]),
            format!("1:cpu:/é{}", &UUID[2..]),
        ] {
            assert_eq!(container_id(&line), None, "{line}");
        }
    }

    #[test]
    fn the_first_line_with_an_id_wins() {
        let text = format!("12:pids:/nothing\n11:cpu:/a/{UUID}\n10:memory:/b/{HEX}\n");
        let entity = from_texts(&text, || panic!("an id was found"), || panic!("an id was found"));
        assert_eq!(entity, Entity { container_id: UUID.into(), entity_id: format!("ci-{UUID}") });
    }

    #[test]
    fn mounts_name_the_container_where_the_cgroup_does_not() {
        let docker = format!(
            "608 554 0:42 / / rw - overlay overlay rw\n\
             620 608 8:1 /var/lib/docker/containers/{HEX}/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw\n\
             621 608 8:1 /var/lib/docker/containers/{HEX}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n"
        );
        let entity = from_texts("0::/", || docker, || panic!("an id was found"));
        assert_eq!(entity, Entity { container_id: HEX.into(), entity_id: format!("ci-{HEX}") });
        let mount = |root: &str| format!("1 2 0:1 {root} /etc/hostname rw - tmpfs tmpfs rw");
        for (root, id) in [
            (format!("/containers/{HEX}/userdata/hostname"), Some(HEX)),
            (format!("/kubelet/pods/{UUID}/etc-hosts"), None),
            (format!("/io.containerd.grpc.v1.cri/sandboxes/{HEX}/hostname"), None),
            (format!("/ecs/{TASK}/hostname"), Some(TASK)),
            (format!("/containers/{}/hostname", &HEX[1..]), None),
            ("/hostname".to_owned(), None),
        ] {
            assert_eq!(container_id_of_mounts(&mount(&root)), id, "{root}");
        }
    }

    #[test]
    fn without_an_id_the_inode_identifies() {
        assert_eq!(from_texts("0::/", String::new, || Some(4026)).entity_id, "in-4026");
        assert_eq!(from_texts("0::/", String::new, || None), Entity::default());
    }

    #[test]
    fn the_node_is_that_of_the_memory_controller_else_of_version_two() {
        for (text, node) in [
            ("0::/", Some("/sys/fs/cgroup/")),
            ("0::/a/b", Some("/sys/fs/cgroup/a/b")),
            ("3:cpu:/x\n2:memory:/y\n0::/z", Some("/sys/fs/cgroup/memory/y")),
            ("0::/z\n2:cpu,memory:/y", Some("/sys/fs/cgroup/memory/y")),
            ("3:cpu:/x", None),
            ("rubbish", None),
        ] {
            assert_eq!(cgroup_node(text), node.map(PathBuf::from), "{text}");
        }
    }
}
