//! A server that holds to a contract, on a port of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use crate::contracts::{Contract, Got, Said, empty};

/// A destination that listens.
pub(crate) struct Server<C> {
    pub(crate) address: SocketAddr,
    pub(crate) contract: Arc<Mutex<C>>,
}

/// What comes instead of the contract's answer: a status, or 0 for a connection that is closed without one.
type Faults = Arc<Mutex<Vec<u16>>>;

impl<C: Contract + Default + 'static> Server<C> {
    pub(crate) fn start(faults: &[u16]) -> Server<C> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let contract = Arc::new(Mutex::new(C::default()));
        let faults: Faults = Arc::new(Mutex::new(faults.to_vec()));
        let served = Arc::clone(&contract);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (contract, faults) = (Arc::clone(&served), Arc::clone(&faults));
                std::thread::spawn(move || -> std::io::Result<()> {
                    let stream = stream?;
                    let mut reader = BufReader::new(stream.try_clone()?);
                    while let Some(got) = read(&mut reader)? {
                        let fault = faults.lock().unwrap().pop();
                        let said = match fault {
                            Some(0) => return Ok(()),
                            Some(status) => Said { headers: vec![("retry-after", "1".into())], ..empty(status) },
                            None => contract.lock().unwrap().answer(&got),
                        };
                        write(&stream, &said)?;
                    }
                    Ok(())
                });
            }
        });
        Server { address, contract }
    }

    pub(crate) fn counted(&self) -> Vec<String> {
        self.contract.lock().unwrap().counted()
    }
}

fn read(reader: &mut BufReader<std::net::TcpStream>) -> std::io::Result<Option<Got>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ').map(str::to_owned);
    let (method, url) = (words.next().unwrap(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, n)| n.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Got::new(&method, &url, headers, &body)))
}

fn write(mut stream: &std::net::TcpStream, said: &Said) -> std::io::Result<()> {
    let headers: String = said.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    // 204 has no body, and no length either.
    let length = if said.status == 204 { String::new() } else { format!("Content-Length: {}\r\n", said.body.len()) };
    write!(stream, "HTTP/1.1 {} Said\r\n{headers}{length}\r\n{}", said.status, said.body)
}
