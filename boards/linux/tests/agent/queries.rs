//! What the agent tells of this machine, compared with what the kernel tells.

use std::fs;

use serde_json::{Value, json};

use crate::listener::{Agent, error, returned};

fn ask(agent: &Agent, command: &str) -> Value {
    returned(&mut agent.connect(), command, &json!({}))
}

fn list(agent: &Agent, command: &str) -> Vec<Value> {
    ask(agent, command).as_array().unwrap().clone()
}

fn kernel(path: &str) -> String {
    fs::read_to_string(path).unwrap().trim_end().to_owned()
}

#[test]
fn what_the_machine_is() {
    let agent = Agent::start(&[]);
    let name = kernel("/proc/sys/kernel/hostname");
    assert_eq!(ask(&agent, "guest-get-host-name"), json!({"host-name": name}));
    let system = ask(&agent, "guest-get-osinfo");
    assert_eq!(system["kernel-release"], kernel("/proc/sys/kernel/osrelease"));
    assert_eq!(system["kernel-version"], kernel("/proc/sys/kernel/version"));
    assert!(ask(&agent, "guest-get-users").is_array());
}

#[test]
fn the_environment_says_what_system_and_which_zone() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "ID=appliance\nPRETTY_NAME=\"An appliance\"\n").unwrap();
    let file = file.path().to_str().unwrap();
    let agent = Agent::start_with(&[("QGA_OS_RELEASE", file), ("TZ", "<+0545>-5:45")]);
    let system = ask(&agent, "guest-get-osinfo");
    assert_eq!((&system["id"], &system["name"]), (&json!("appliance"), &Value::Null));
    assert_eq!(system["pretty-name"], "An appliance");
    let zone = json!({"zone": "+0545", "offset": 20_700});
    assert_eq!(ask(&agent, "guest-get-timezone"), zone);
}

#[test]
fn processors() {
    let agent = Agent::start(&[]);
    let processors = list(&agent, "guest-get-vcpus");
    let running = processors.iter().filter(|processor| processor["online"] == true).count();
    assert_eq!(list(&agent, "guest-get-cpustats").len(), running);
    let load = ask(&agent, "guest-get-load");
    for average in ["load1m", "load5m", "load15m"] {
        assert!(load[average].is_f64() || load[average].is_u64(), "{load}");
    }

    let set = |logical_id: i64, online: bool| json!({"vcpus": [{"logical-id": logical_id, "online": online}]});
    assert_eq!(
        error(&mut agent.connect(), "guest-set-vcpus", &set(1_000_000, false)),
        "open(\"/sys/devices/system/cpu/cpu1000000/\"): No such file or directory"
    );
    for processor in &processors {
        let id = processor["logical-id"].as_i64().unwrap();
        if processor["can-offline"] == true {
            assert_eq!(returned(&mut agent.connect(), "guest-set-vcpus", &set(id, false)), 1);
        } else {
            let expected = format!("logical processor #{id} can't be offlined");
            assert_eq!(error(&mut agent.connect(), "guest-set-vcpus", &set(id, false)), expected);
        }
    }
    // A dry run has taken none off line.
    assert_eq!(list(&agent, "guest-get-vcpus"), processors);
}

#[test]
fn memory() {
    let agent = Agent::start(&[]);
    let blocks = list(&agent, "guest-get-memory-blocks");
    let set = |index: u64| json!({"mem-blks": [{"phys-index": index, "online": false}]});
    let absent = returned(&mut agent.connect(), "guest-set-memory-blocks", &set(u64::MAX));
    // A kernel may have no blocks at all.
    let response = if blocks.is_empty() { "operation-not-supported" } else { "not-found" };
    assert_eq!(absent, json!([{"response": response, "error-code": 2, "phys-index": u64::MAX}]));
    if let Some(block) = blocks.first() {
        assert!(ask(&agent, "guest-get-memory-block-info")["size"].as_u64() > Some(0));
        let index = block["phys-index"].as_u64().unwrap();
        let switched = returned(&mut agent.connect(), "guest-set-memory-blocks", &set(index));
        assert_eq!(switched, json!([{"response": "success", "phys-index": index}]));
        assert_eq!(list(&agent, "guest-get-memory-blocks"), blocks);
    }
}

#[test]
fn network() {
    let agent = Agent::start(&[]);
    let interfaces = list(&agent, "guest-network-get-interfaces");
    let directory = fs::read_dir("/sys/class/net").unwrap();
    for interface in directory.map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
        // `bonding_masters` is none.
        let Ok(address) = fs::read_to_string(format!("/sys/class/net/{interface}/address")) else {
            continue;
        };
        let address = address.trim_end();
        let told = interfaces.iter().find(|told| told["name"] == interface).unwrap();
        let told = told["hardware-address"].as_str().unwrap();
        assert!(address.len() != told.len() || address == told, "{interface}: {told}");
    }

    let routes = list(&agent, "guest-network-get-route");
    let ipv6 = fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default().lines().count();
    let ipv4 = kernel("/proc/net/route").lines().count() - 1;
    let count = |version| routes.iter().filter(|route| route["version"] == version).count();
    assert_eq!((count(4), count(6)), (ipv4, ipv6), "{routes:?}");
}

#[test]
fn disks_and_devices() {
    let agent = Agent::start(&[]);
    let counted: Vec<_> = list(&agent, "guest-get-diskstats")
        .iter()
        .map(|disk| format!("/dev/{}", disk["name"].as_str().unwrap()))
        .collect();
    for disk in list(&agent, "guest-get-disks") {
        assert!(counted.contains(&disk["name"].as_str().unwrap().to_owned()), "{disk}");
    }
    for device in list(&agent, "guest-get-devices") {
        assert_eq!(device["id"]["type"], "pci", "{device}");
        assert!(!device["driver-name"].as_str().unwrap().is_empty(), "{device}");
    }
}

#[test]
fn a_sleep_that_the_kernel_can_do_is_only_logged() {
    let mut agent = Agent::start(&[]);
    let state = fs::read_to_string("/sys/power/state").unwrap_or_default();
    for (command, word) in [("guest-suspend-ram", "mem"), ("guest-suspend-disk", "disk")] {
        if state.split_ascii_whitespace().any(|known| known == word) {
            let request = json!({"execute": command}).to_string();
            assert_eq!(agent.play(&request), "");
            agent.process.log_until("not suspended");
        } else {
            assert_eq!(
                error(&mut agent.connect(), command, &json!({})),
                "the requested suspend mode is not supported by the guest"
            );
        }
    }
}
